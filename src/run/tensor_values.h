// Numbers out of tensors.
#pragma once

#include <string>

#include "tensorflow/core/framework/tensor.h"

namespace mox {

// The value of a tensor with one element, of any numeric type or bool; `name` is for the error.
double scalar_value(const tensorflow::Tensor& tensor, const std::string& name);

}  // namespace mox
