// A scalar of a dtype that is only known when the graph is there.
#pragma once

#include <string>

#include "tensorflow/core/framework/tensor.h"

namespace mox {

// InvalidArgumentError("<what> of type …") for a dtype that is no floating point type.
tensorflow::Tensor scalar_of(tensorflow::DataType dtype, double value, const std::string& what);

}  // namespace mox
