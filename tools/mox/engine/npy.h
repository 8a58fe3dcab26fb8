// NumPy's .npy files: arrays of numbers in C order, version 1.0 to 3.0 read, 1.0 written.
#pragma once

#include <string>

#include "tensorflow/core/framework/tensor.h"

namespace mox::cli {

// The array of the file `path`; DataError (path, what was expected) for what is no array of numbers in C order, before
// any memory is taken for it.
tensorflow::Tensor read_npy(const std::string& path);
// A float32 tensor as the bytes of a .npy file.
std::string format_npy(const tensorflow::Tensor& tensor);

}  // namespace mox::cli
