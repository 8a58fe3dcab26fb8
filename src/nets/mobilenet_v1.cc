// MobileNet v1 (Howard 2017): depthwise and pointwise convolutions; the suffix is the share of the channels.
#include "nets/families.h"

namespace mox::nets {

namespace {

struct Layer {
  int stride;
  int depth;
};
constexpr Layer kLayers[] = {{1, 64},  {2, 128}, {1, 128}, {2, 256}, {1, 256},  {2, 512}, {1, 512},
                             {1, 512}, {1, 512}, {1, 512}, {1, 512}, {2, 1024}, {1, 1024}};

double multiplier_of(const std::string& name) {
  if (name == NetworkKeys::MOBILENET_V1_075) return 0.75;
  if (name == NetworkKeys::MOBILENET_V1_050) return 0.5;
  if (name == NetworkKeys::MOBILENET_V1_025) return 0.25;
  return 1;
}

}  // namespace

NetworkOutput mobilenet_v1(const Scope& scope, const tensorflow::Output& images, const Params& params) {
  Net net(params);
  net.batch_norm.scale = true;
  net.batch_norm.decay = net.batch_norm_decay(0.9997f);
  net.normalize_convolutions();
  net.conv.activation = net.separable.activation = layers::relu6;
  net.conv.weights_initializer = net.separable.weights_initializer = truncated_normal_initializer(0.09f);
  net.separable.weight_decay = 0;  // few weights a channel: regularizing them costs accuracy
  const double multiplier = multiplier_of(params.name);
  auto depth = [&](int d) { return std::max(static_cast<int>(d * multiplier), 8); };

  const Scope s = scope.var_scope("MobilenetV1");
  tensorflow::Output x = net.end_point("Conv2d_0", net.conv2d(s, images, depth(32), 3, "Conv2d_0", 2));
  int i = 0;
  for (const Layer& layer : kLayers) {
    const std::string name = "Conv2d_" + std::to_string(++i);
    layers::SeparableConv2dOptions depthwise = net.separable;
    depthwise.stride = layer.stride;
    x = net.end_point(name + "_depthwise", layers::depthwise_conv2d(s, x, 3, name + "_depthwise", depthwise));
    x = net.end_point(name + "_pointwise", net.conv2d(s, x, depth(layer.depth), 1, name + "_pointwise"));
  }
  const Scope end = s.var_scope("Logits");
  x = net.end_point("AvgPool_1a", net.final_pool(end, x, 7, "AvgPool_1a"));
  x = net.dropout(end, x, 0.999f, "Dropout_1b");
  x = net.linear_conv2d(end, x, params.num_classes, 1, "Conv2d_1c_1x1");
  return net.finish(scope, net.squeeze_logits(end, x));
}

}  // namespace mox::nets
