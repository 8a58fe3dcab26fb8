#include "passes/filter_shape.h"

#include "tensorflow/core/framework/tensor_shape.h"

namespace mox {

namespace tf = tensorflow;

std::vector<int64_t> shape_of_filter(const NodeIndex& index, const std::string& tensor) {
  TensorRef at = parse_tensor(tensor);
  auto found = index.find(at.node);
  while (found != index.end() && is_one_of(found->second->op(), {"Cast", "Identity", "ReadVariableOp", "Shape",
                                                                 "ShapeN", "MoxFoldBatchNorm"})) {
    at = parse_tensor(found->second->input(found->second->op() == "ShapeN" ? at.port : 0));
    found = index.find(at.node);
  }
  if (found == index.end()) return {};
  const tf::NodeDef& node = *found->second;
  tf::Tensor value;
  if (node.op() == "Const" && value.FromProto(node.attr().at("value").tensor())) {
    if (value.dims() == 4) return {value.dim_size(0), value.dim_size(1), value.dim_size(2), value.dim_size(3)};
    if (value.dtype() != tf::DT_INT32 || value.dims() != 1 || value.NumElements() != 4) return {};
    const auto sizes = value.vec<int32_t>();
    return {sizes(0), sizes(1), sizes(2), sizes(3)};
  }
  if (node.op() != "VarHandleOp" || node.attr().at("shape").shape().dim_size() != 4) return {};
  std::vector<int64_t> shape;
  for (const auto& dim : node.attr().at("shape").shape().dim()) shape.push_back(dim.size());
  return shape;
}

}  // namespace mox
