// What is known of a tensor beside its value, and values for placeholders.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tensorflow/cc/framework/ops.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/framework/tensor_shape.h"

namespace mox {

// "image:0".
inline std::string tensor_name(const tensorflow::Output& output) {
  return output.node()->name() + ":" + std::to_string(output.index());
}

struct InputTensor {
  std::string name;  // "image:0"
  tensorflow::DataType dtype;
  tensorflow::PartialTensorShape shape;
};

using Feeds = std::vector<std::pair<std::string, tensorflow::Tensor>>;  // placeholder's node name, value

}  // namespace mox
