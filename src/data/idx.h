// The idx format of MNIST: a magic number (0, 0, type, dimensions), the sizes as big-endian 32 bits, the bytes.
#pragma once

#include <string>

#include "tensorflow/core/framework/tensor.h"

namespace mox::data {

// uint8 [N, height, width, 1] of an idx3 file. DataError with path and offset when the file is not one.
tensorflow::Tensor read_idx_images(const std::string& path);
// int64 [N] of an idx1 file, each below num_classes.
tensorflow::Tensor read_idx_labels(const std::string& path, int64_t num_classes);

}  // namespace mox::data
