#include "devices/device_plan.h"
#include "layers/layout.h"
#include "moxing/error.h"
#include "moxing/layers.h"

namespace mox {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

namespace {

// Marks our transposes to NCHW, so that the next layer can take what is before them.
constexpr char kLayoutAttr[] = "_mox_layout";

}  // namespace

void check_data_format(const std::string& data_format) {
  if (data_format != "NHWC" && data_format != "NCHW")
    throw InvalidArgumentError("data_format is '" + data_format + "'; give 'NHWC' or 'NCHW'");
}

tf::Output before_transpose(const tf::Output& x) {
  if (x.node()->type_string() != "Transpose" || !x.node()->attrs().Find(kLayoutAttr)) return tf::Output();
  return x.op().input(0);
}

int64_t channels_of(const Scope& scope, const tf::Output& x, int axis, const std::string& layer) {
  const std::vector<int64_t> shape = static_shape(scope, x);
  if (axis >= static_cast<int>(shape.size()) || shape[axis] < 0)
    throw InvalidArgumentError("layer " + layer + ": the number of channels of its input " + x.name() +
                               " is not known while the graph is built; set the input's shape");
  return shape[axis];
}

tf::Output int_vector(const Scope& scope, const std::vector<int>& values) {
  tf::Tensor tensor(tf::DT_INT32, {static_cast<int64_t>(values.size())});
  std::copy(values.begin(), values.end(), tensor.flat<int>().data());
  return ops::Const(scope, tf::Input::Initializer(tensor));
}

NativeLayout::NativeLayout(const Scope& scope, const tf::Output& inputs, const std::string& data_format)
    : inputs_(inputs), format_(data_format) {
  check_data_format(data_format);
  const std::vector<int64_t> shape = static_shape(scope, inputs);
  if (shape.size() != 4)
    throw InvalidArgumentError("a layer on images got " + inputs.name() + " with " + std::to_string(shape.size()) +
                               " dimensions; expected 4: [batch, height, width, channels] (or NCHW)");
  if (format_ == "NHWC" || is_gpu(inputs.node()->requested_device())) return;
  format_ = "NHWC";
  transposed_ = true;
  inputs_ = layers::nchw_to_nhwc(scope, inputs);
}

tf::Output NativeLayout::finish(const Scope& scope, const tf::Output& output) const {
  return transposed_ ? layers::nhwc_to_nchw(scope, output) : output;
}

namespace layers {

tf::Output nhwc_to_nchw(const Scope& scope, const tf::Output& images) {
  const tf::Output result = ops::Transpose(scope.WithOpName("to_nchw"), images, {0, 3, 1, 2});
  if (scope.ok()) result.node()->AddAttr(kLayoutAttr, "NCHW");
  return result;
}

tf::Output nchw_to_nhwc(const Scope& scope, const tf::Output& images) {
  const tf::Output before = before_transpose(images);
  return before.node() ? before : tf::Output(ops::Transpose(scope.WithOpName("to_nhwc"), images, {0, 2, 3, 1}));
}

}  // namespace layers
}  // namespace mox
