// Gradients that TensorFlow's C++ runtime lacks. Registered where missing only, so that a later TensorFlow's own wins.
#include "tensorflow/cc/framework/grad_op_registry.h"
#include "tensorflow/cc/framework/gradients.h"

namespace mox {
namespace {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;
using Outputs = std::vector<tf::Output>;

// Outputs that the loss does not depend on come with zeros, or with nothing.
bool used(const tf::Output& gradient) {
  return gradient.node() != nullptr && gradient.node()->type_string() != "ZerosLike";
}

// The op's second output is d loss / d logits, a row a sample.
absl::Status sparse_softmax_cross_entropy_grad(const tf::Scope& scope, const tf::Operation& op, const Outputs& grads,
                                               Outputs* results) {
  if (used(grads[1]))
    return absl::UnimplementedError(
        "the second derivative of SparseSoftmaxCrossEntropyWithLogits is not available; "
        "use softmax_cross_entropy on one-hot labels");
  const tf::Output column = ops::ExpandDims(scope, grads[0], -1);
  results->push_back(ops::Multiply(scope, column, op.output(1)));
  results->push_back(tf::NoGradient());
  return scope.status();
}

template <class GradOp>
absl::Status fused_batch_norm_grad(const tf::Scope& scope, const tf::Operation& op, const Outputs& grads,
                                   Outputs* results) {
  float epsilon;
  std::string data_format;
  bool is_training;
  TF_RETURN_IF_ERROR(tf::GetNodeAttr(op.node()->attrs(), "epsilon", &epsilon));
  TF_RETURN_IF_ERROR(tf::GetNodeAttr(op.node()->attrs(), "data_format", &data_format));
  TF_RETURN_IF_ERROR(tf::GetNodeAttr(op.node()->attrs(), "is_training", &is_training));
  // Training: what the forward kernel kept of the batch; else the population's statistics, which it was given.
  const tf::Output mean = is_training ? op.output(3) : op.input(3);
  const tf::Output variance = is_training ? op.output(4) : op.input(4);
  const GradOp grad(scope, grads[0], op.input(0), op.input(1), mean, variance,
                    GradOp::Epsilon(epsilon).DataFormat(data_format).IsTraining(is_training));
  *results = {grad.x_backprop, grad.scale_backprop, grad.offset_backprop, tf::NoGradient(), tf::NoGradient()};
  return scope.status();
}

// Each row of the gradient is added to the row of params that was taken.
absl::Status gather_grad(const tf::Scope& scope, const tf::Operation& op, const Outputs& grads, Outputs* results) {
  const tf::Output shape = ops::Shape(scope, op.input(0), ops::Shape::OutType(tf::DT_INT32));
  const tf::Output rows = ops::StridedSlice(scope, shape, {0}, {1}, {1}, ops::StridedSlice::ShrinkAxisMask(1));
  results->push_back(ops::UnsortedSegmentSum(scope, grads[0], op.input(1), rows));
  results->push_back(tf::NoGradient());
  return scope.status();
}

// The gradient of each value goes back to the place in its row that the value came from.
absl::Status top_k_grad(const tf::Scope& scope, const tf::Operation& op, const Outputs& grads, Outputs* results) {
  const tf::Output shape = ops::Shape(scope, op.input(0), ops::Shape::OutType(tf::DT_INT32));
  const tf::Output columns =
      ops::StridedSlice(scope, shape, {-1}, {0}, {1}, ops::StridedSlice::ShrinkAxisMask(1).EndMask(1));
  const tf::Output one_hot = ops::OneHot(scope, op.output(1), columns, ops::Cast(scope, 1.0f, grads[0].type()),
                                         ops::Cast(scope, 0.0f, grads[0].type()));
  const tf::Output spread = ops::Multiply(scope, one_hot, ops::ExpandDims(scope, grads[0], -1));
  results->push_back(ops::Sum(scope, spread, -2));
  results->push_back(tf::NoGradient());
  return scope.status();
}

// Of a transposed convolution: input sizes, filter, the image.
absl::Status conv_backprop_input_grad(const tf::Scope& scope, const tf::Operation& op, const Outputs& grads,
                                      Outputs* results) {
  std::vector<int> strides;
  std::string padding, data_format;
  TF_RETURN_IF_ERROR(tf::GetNodeAttr(op.node()->attrs(), "strides", &strides));
  TF_RETURN_IF_ERROR(tf::GetNodeAttr(op.node()->attrs(), "padding", &padding));
  TF_RETURN_IF_ERROR(tf::GetNodeAttr(op.node()->attrs(), "data_format", &data_format));
  const tf::Output filter_sizes = ops::Shape(scope, op.input(1), ops::Shape::OutType(tf::DT_INT32));
  *results = {tf::NoGradient(),
              ops::Conv2DBackpropFilter(scope, grads[0], filter_sizes, op.input(2), strides, padding,
                                        ops::Conv2DBackpropFilter::DataFormat(data_format)),
              ops::Conv2D(scope, grads[0], op.input(1), strides, padding, ops::Conv2D::DataFormat(data_format))};
  return scope.status();
}

absl::Status no_gradient(const tf::Scope& scope, const tf::Operation& op, const Outputs&, Outputs* results) {
  results->assign(op.num_inputs(), tf::NoGradient());
  return scope.status();
}

bool register_missing() {
  const std::pair<const char*, ops::GradFunc> table[] = {
      {"SparseSoftmaxCrossEntropyWithLogits", sparse_softmax_cross_entropy_grad},
      {"FusedBatchNorm", fused_batch_norm_grad<ops::FusedBatchNormGrad>},
      {"FusedBatchNormV2", fused_batch_norm_grad<ops::FusedBatchNormGradV2>},
      {"Gather", gather_grad},
      {"TopKV2", top_k_grad},
      {"OnesLike", no_gradient},
      {"Conv2DBackpropInput", conv_backprop_input_grad},
  };
  ops::GradOpRegistry* registry = ops::GradOpRegistry::Global();
  for (const auto& [name, function] : table) {
    ops::GradFunc found;
    if (!registry->Lookup(name, &found).ok()) registry->Register(name, function);
  }
  return true;
}

// TensorFlow finds gradients in its own registry, which must be full before a user's graph asks.
const bool registered = register_missing();

}  // namespace
}  // namespace mox
