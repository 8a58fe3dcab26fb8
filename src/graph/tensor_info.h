// What is known of a tensor beside its value, and values for placeholders.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "moxing/export.h"
#include "tensorflow/cc/framework/ops.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/framework/tensor_shape.h"

namespace tensorflow {
class ShapeRefiner;
}

namespace mox {

struct InputTensor {
  std::string name;  // "image:0"
  tensorflow::DataType dtype;
  tensorflow::PartialTensorShape shape;
};

using Feeds = std::vector<std::pair<std::string, tensorflow::Tensor>>;  // placeholder's node name, value

// "node:port", for port 0 too: as Python names tensors.
MOX_EXPORT std::string tensor_name(const tensorflow::Output& output);
// With the shape that is known while the graph is built, whose shapes `refiner` keeps (GraphState has a scope's).
MOX_EXPORT InputTensor tensor_info(const tensorflow::ShapeRefiner& refiner, const tensorflow::Output& output);

}  // namespace mox
