#include "graph/tensor_info.h"

#include "tensorflow/core/common_runtime/shape_refiner.h"

namespace mox {

namespace tf = tensorflow;

std::string tensor_name(const tf::Output& output) {
  return output.node()->name() + ":" + std::to_string(output.index());
}

InputTensor tensor_info(const tf::ShapeRefiner& refiner, const tf::Output& output) {
  auto* context = refiner.GetContext(output.node());
  tf::TensorShapeProto proto;
  context->ShapeHandleToProto(context->output(output.index()), &proto);
  return {tensor_name(output), output.type(), tf::PartialTensorShape(proto)};
}

}  // namespace mox
