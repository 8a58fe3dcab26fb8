#include "nets/network.h"

#include "layers/layout.h"
#include "moxing/error.h"

namespace mox::nets {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;
using layers::KernelSize;
using layers::Padding;
using layers::Size2d;

Net::Net(const Params& params) : params_(params) {
  const ModelFnOptions& o = params.options;
  conv.weight_decay = separable.weight_decay = dense.weight_decay = o.weight_decay;
  conv.data_format = separable.data_format = pool.data_format = batch_norm.data_format = o.data_format;
  batch_norm.is_training = params.is_training;
  batch_norm.renorm = o.batch_renorm;
  // One kernel cannot correct the batch's statistics: renorm goes before fused.
  batch_norm.fused = o.batch_norm_fused && !o.batch_renorm;
}

void Net::normalize_convolutions() { conv.normalizer = separable.normalizer = layers::batch_normalizer(batch_norm); }

tf::Output Net::conv2d(const Scope& scope, const tf::Output& x, int num_outputs, KernelSize kernel,
                       const std::string& name, Size2d stride) const {
  return conv2d(scope, x, num_outputs, kernel, name, stride, conv.padding);
}

tf::Output Net::conv2d(const Scope& scope, const tf::Output& x, int num_outputs, KernelSize kernel,
                       const std::string& name, Size2d stride, Padding padding) const {
  layers::Conv2dOptions options = conv;
  options.stride = stride;
  options.padding = padding;
  return layers::conv2d(scope, x, num_outputs, kernel, name, options);
}

tf::Output Net::conv2d_same(const Scope& scope, const tf::Output& x, int num_outputs, int kernel,
                            const std::string& name, int stride, layers::Conv2dOptions options) const {
  options.stride = stride;
  if (stride == 1) return layers::conv2d(scope, x, num_outputs, kernel, name, options);
  options.padding = Padding::kValid;
  // A Pad by nothing would stand between convolution and batch norm.
  if (kernel == 1) return layers::conv2d(scope, x, num_outputs, kernel, name, options);
  const int before = (kernel - 1) / 2, after = kernel - 1 - before;
  const tf::Output padded = layers::pad2d(scope, x, {before, after, before, after}, name + "/Pad", data_format());
  return layers::conv2d(scope, padded, num_outputs, kernel, name, options);
}

tf::Output Net::linear_conv2d(const Scope& scope, const tf::Output& x, int num_outputs, KernelSize kernel,
                              const std::string& name) const {
  layers::Conv2dOptions options = conv;
  options.activation = nullptr;
  options.normalizer = nullptr;
  options.biases_initializer = zeros_initializer();
  return layers::conv2d(scope, x, num_outputs, kernel, name, options);
}

tf::Output Net::max_pool(const Scope& scope, const tf::Output& x, KernelSize kernel, const std::string& name,
                         Size2d stride) const {
  return max_pool(scope, x, kernel, name, stride, pool.padding);
}

tf::Output Net::max_pool(const Scope& scope, const tf::Output& x, KernelSize kernel, const std::string& name,
                         Size2d stride, Padding padding) const {
  return layers::max_pool2d(scope, x, kernel, name, {stride, padding, data_format()});
}

tf::Output Net::avg_pool(const Scope& scope, const tf::Output& x, KernelSize kernel, const std::string& name,
                         Size2d stride, Padding padding) const {
  return layers::avg_pool2d(scope, x, kernel, name, {stride, padding, data_format()});
}

tf::Output Net::final_pool(const Scope& scope, const tf::Output& x, int size, const std::string& name) const {
  const Size2d image = image_size(scope, x, false);
  const int height = image.height < 0 ? size : std::min(size, image.height);
  const int width = image.width < 0 ? size : std::min(size, image.width);
  return avg_pool(scope, x, {height, width}, name, 1, Padding::kValid);
}

tf::Output Net::subsample(const Scope& scope, const tf::Output& x, int stride, int offset) const {
  if (stride == 1) return x;
  // A pool of single elements, as TF-slim does it: oneDNN's kernels and threads, ten times StridedSlice's speed.
  const auto every = [&](const tf::Output& from) {
    return layers::max_pool2d(scope, from, {1, 1}, "subsample", {stride, Padding::kValid, data_format()});
  };
  if (offset == 0) return every(x);
  const tf::Output padded = layers::pad2d(scope, x, {0, offset, 0, offset}, "Pad", data_format());
  const NativeLayout layout(scope, padded, data_format());
  std::vector<int> begin(4, 0);
  begin[layout.height_axis()] = begin[layout.height_axis() + 1] = offset;
  return every(layout.finish(scope, ops::Slice(scope.WithOpName("shifted"), layout.inputs(), int_vector(scope, begin),
                                               int_vector(scope, {-1, -1, -1, -1}))));
}

tf::Output Net::global_pool(const Scope& scope, const tf::Output& x, const std::string& name) const {
  return layers::global_avg_pool(scope, x, name, true, data_format());
}

tf::Output Net::concat(const Scope& scope, const std::vector<tf::Output>& xs) const {
  return layers::concat_channels(scope, xs, "concat", data_format());
}

tf::Output Net::flatten(const Scope& scope, const tf::Output& x, const std::string& name) const {
  return layers::flatten(scope, x, name, data_format());
}

tf::Output Net::squeeze_logits(const Scope& scope, const tf::Output& x, const std::string& name) const {
  const Size2d size = image_size(scope, x, false);
  if (size.height == 1 && size.width == 1) return layers::spatial_squeeze(scope, x, name, data_format());
  return layers::global_avg_pool(scope, x, name, false, data_format());
}

tf::Output Net::linear(const Scope& scope, const tf::Output& x, int num_outputs, const std::string& name) const {
  layers::FullyConnectedOptions options = dense;
  options.activation = nullptr;
  return layers::fully_connected(scope, x, num_outputs, name, options);
}

tf::Output Net::dropout(const Scope& scope, const tf::Output& x, float keep_prob, const std::string& name) const {
  const float asked = params_.options.dropout_keep_prob;
  return layers::dropout(scope, x, asked > 0 ? asked : keep_prob, is_training(), name);
}

tf::Output Net::add(const Scope& scope, const tf::Output& a, const tf::Output& b) const {
  const tf::Output before_a = before_transpose(a), before_b = before_transpose(b);
  if (!before_a.node() || !before_b.node()) return ops::AddV2(scope.WithOpName("add"), a, b);
  return layers::nhwc_to_nchw(scope, ops::AddV2(scope.WithOpName("add"), before_a, before_b));
}

tf::Output Net::scale(const Scope& scope, const tf::Output& x, float factor) const {
  const tf::Output before = before_transpose(x);
  const tf::Output by = ops::Cast(scope, ops::Const(scope, factor), x.type());
  if (!before.node()) return ops::Multiply(scope.WithOpName("scaled"), x, by);
  return layers::nhwc_to_nchw(scope, ops::Multiply(scope.WithOpName("scaled"), before, by));
}

Size2d Net::image_size(const Scope& scope, const tf::Output& x, bool needed) const {
  const std::vector<int64_t> shape = static_shape(scope, x);
  const int axis = data_format() == "NHWC" ? 1 : 2;
  const Size2d size(static_cast<int>(shape.at(axis)), static_cast<int>(shape.at(axis + 1)));
  if (needed && (size.height < 0 || size.width < 0))
    throw InvalidArgumentError("network " + params_.name +
                               " must know the images' height and width while it is built: set the images' shape, or "
                               "give image_height and image_width");
  return size;
}

int Net::channels(const Scope& scope, const tf::Output& x) const {
  return static_cast<int>(channels_of(scope, x, channel_axis(), params_.name));
}

tf::Output Net::end_point(const std::string& name, const tf::Output& x) {
  end_points_.emplace_back(name, x);
  return x;
}

NetworkOutput Net::finish(const Scope& scope, const tf::Output& logits, const std::string& logits_name,
                          const std::string& predictions_name) {
  end_point(logits_name, logits);
  end_point(predictions_name, layers::softmax(scope, logits, predictions_name));
  return output(logits);
}

NetworkOutput finish_with_head(Net& net, const Scope& scope, const tf::Output& inputs, const ConvHead& head) {
  const std::string prefix = net.params().name + "/";
  tf::Output x = net.conv2d(scope, inputs, head.fc6, head.fc6_kernel, "fc6", 1, Padding::kValid);
  net.end_point(prefix + "fc6", x);
  x = net.dropout(scope, x, 0.5f, "dropout6");
  x = net.end_point(prefix + "fc7", net.conv2d(scope, x, head.fc7, 1, "fc7"));
  x = net.dropout(scope, x, 0.5f, "dropout7");
  const tf::Output logits =
      net.squeeze_logits(scope, net.linear_conv2d(scope, x, net.params().num_classes, 1, "fc8"), "fc8/squeezed");
  net.end_point(prefix + "fc8", logits);
  return net.output(logits);
}

}  // namespace mox::nets
