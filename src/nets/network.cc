#include "nets/network.h"

#include "graph/layout.h"
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

tf::Output Net::global_pool(const Scope& scope, const tf::Output& x, const std::string& name) const {
  return layers::global_avg_pool(scope, x, name, true, data_format());
}

tf::Output Net::concat(const Scope& scope, const std::vector<tf::Output>& xs) const {
  return layers::concat_channels(scope, xs, "concat", data_format());
}

tf::Output Net::flatten(const Scope& scope, const tf::Output& x, const std::string& name) const {
  return layers::flatten(scope, x, name, data_format());
}

tf::Output Net::squeeze(const Scope& scope, const tf::Output& x, const std::string& name) const {
  return layers::spatial_squeeze(scope, x, name, data_format());
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

std::pair<int64_t, int64_t> Net::image_size(const Scope& scope, const tf::Output& x) const {
  const std::vector<int64_t> shape = static_shape(scope, x);
  return data_format() == "NHWC" ? std::pair(shape.at(1), shape.at(2)) : std::pair(shape.at(2), shape.at(3));
}

int64_t Net::channels(const Scope& scope, const tf::Output& x) const {
  return channels_of(scope, x, channel_axis(), params_.name);
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

}  // namespace mox::nets
