#include "layers/layout.h"
#include "moxing/error.h"
#include "moxing/layers.h"

namespace mox::layers {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

namespace {

// An element-by-element operation, done before our own transpose so that the next layer still finds that transpose.
template <class Op>
tf::Output elementwise(const Scope& scope, const tf::Output& x, const char* name) {
  const tf::Output before = before_transpose(x);
  if (!before.node()) return Op(scope.WithOpName(name), x);
  return nhwc_to_nchw(scope, Op(scope.WithOpName(name), before));
}

}  // namespace

tf::Output relu(const Scope& scope, const tf::Output& x) { return elementwise<ops::Relu>(scope, x, "Relu"); }
tf::Output relu6(const Scope& scope, const tf::Output& x) { return elementwise<ops::Relu6>(scope, x, "Relu6"); }
tf::Output sigmoid(const Scope& scope, const tf::Output& x) { return elementwise<ops::Sigmoid>(scope, x, "Sigmoid"); }
tf::Output tanh(const Scope& scope, const tf::Output& x) { return elementwise<ops::Tanh>(scope, x, "Tanh"); }

tf::Output global_avg_pool(const Scope& scope, const tf::Output& inputs, const std::string& name, bool keep_dims,
                           const std::string& data_format) {
  const NativeLayout layout(scope, inputs, data_format);
  const int axis = layout.height_axis();
  const tf::Output mean =
      ops::Mean(scope.WithOpName(name), layout.inputs(), {axis, axis + 1}, ops::Mean::KeepDims(keep_dims));
  return keep_dims ? layout.finish(scope, mean) : mean;
}

tf::Output dropout(const Scope& outer, const tf::Output& inputs, float keep_prob, bool is_training,
                   const std::string& name) {
  if (!(keep_prob > 0 && keep_prob <= 1))
    throw InvalidArgumentError("dropout " + name + ": keep_prob is " + std::to_string(keep_prob) +
                               "; it must be above 0 and at most 1");
  if (!is_training || keep_prob == 1) return inputs;
  const Scope scope = outer.with(outer.NewSubScope(name));
  const auto [seed, seed2] = scope.next_seed();
  const tf::Output random = ops::RandomUniform(scope.WithOpName("random_uniform"), ops::Shape(scope, inputs),
                                               tf::DT_FLOAT, ops::RandomUniform::Seed(seed).Seed2(seed2));
  const tf::Output kept = ops::Cast(scope, ops::Less(scope, random, keep_prob), inputs.type());
  const tf::Output scale = ops::Cast(scope, ops::Const(scope, 1 / keep_prob), inputs.type());
  return ops::Multiply(scope.WithOpName("mul"), ops::Multiply(scope, inputs, scale), kept);
}

tf::Output flatten(const Scope& scope, const tf::Output& inputs, const std::string& name,
                   const std::string& data_format) {
  check_data_format(data_format);
  std::vector<int64_t> shape = static_shape(scope, inputs);
  tf::Output x = inputs;
  if (shape.size() == 4 && data_format == "NCHW") x = nchw_to_nhwc(scope, inputs);
  if (shape.empty()) throw InvalidArgumentError("flatten " + name + " got the scalar " + inputs.name());
  int64_t features = 1;
  for (size_t i = 1; i < shape.size(); ++i) {
    if (shape[i] < 0)
      throw InvalidArgumentError("flatten " + name + ": " + inputs.name() +
                                 " has sizes that are not known while the graph is built; set its shape");
    features *= shape[i];
  }
  // With a known batch size the result's shape is known too; else -1 stands for it.
  return ops::Reshape(scope.WithOpName(name), x, {static_cast<int>(shape[0]), static_cast<int>(features)});
}

tf::Output spatial_squeeze(const Scope& scope, const tf::Output& inputs, const std::string& name,
                           const std::string& data_format) {
  const NativeLayout layout(scope, inputs, data_format);
  const int axis = layout.height_axis();
  return ops::Squeeze(scope.WithOpName(name), layout.inputs(), ops::Squeeze::Axis({axis, axis + 1}));
}

tf::Output softmax(const Scope& scope, const tf::Output& logits, const std::string& name) {
  return ops::Softmax(scope.WithOpName(name), logits);
}

tf::Output one_hot_encoding(const Scope& scope, const tf::Output& labels, int num_classes, const std::string& name) {
  return ops::OneHot(scope.WithOpName(name), labels, num_classes, 1.0f, 0.0f);
}

tf::Output concat_channels(const Scope& scope, const std::vector<tf::Output>& inputs, const std::string& name,
                           const std::string& data_format) {
  check_data_format(data_format);
  if (inputs.empty()) throw InvalidArgumentError("concat_channels " + name + " got no inputs");
  std::vector<tf::Output> before;
  for (const tf::Output& x : inputs) before.push_back(before_transpose(x));
  const bool all = std::all_of(before.begin(), before.end(), [](const tf::Output& x) { return x.node() != nullptr; });
  if (all && data_format == "NCHW") return nhwc_to_nchw(scope, ops::Concat(scope.WithOpName(name), before, 3));
  return ops::Concat(scope.WithOpName(name), inputs, data_format == "NHWC" ? 3 : 1);
}

tf::Output pad2d(const Scope& scope, const tf::Output& inputs, const Margins& m, const std::string& name,
                 const std::string& data_format) {
  const NativeLayout layout(scope, inputs, data_format);
  tf::Tensor paddings(tf::DT_INT32, {4, 2});
  auto p = paddings.matrix<int>();
  p.setZero();
  const int h = layout.height_axis();
  p(h, 0) = m.top, p(h, 1) = m.bottom, p(h + 1, 0) = m.left, p(h + 1, 1) = m.right;
  return layout.finish(scope, ops::Pad(scope.WithOpName(name), layout.inputs(), tf::Input::Initializer(paddings)));
}

}  // namespace mox::layers
