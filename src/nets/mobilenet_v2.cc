// MobileNet v2 (Sandler 2018): inverted residuals; the suffix is the share of the channels.
#include "nets/families.h"

namespace mox::nets {

namespace {

struct Block {
  int stride;
  int depth;
};
constexpr Block kBlocks[] = {{1, 16}, {2, 24}, {1, 24}, {2, 32}, {1, 32},  {1, 32},  {2, 64},  {1, 64}, {1, 64},
                             {1, 64}, {1, 96}, {1, 96}, {1, 96}, {2, 160}, {1, 160}, {1, 160}, {1, 320}};

double multiplier_of(const std::string& name) {
  if (name == NetworkKeys::MOBILENET_V2_140) return 1.4;
  if (name == NetworkKeys::MOBILENET_V2_035) return 0.35;
  return 1;
}

// The nearest multiple of 8 that is not more than a tenth below.
int divisible(double depth) {
  const int rounded = std::max(8, static_cast<int>(depth + 4) / 8 * 8);
  return rounded < 0.9 * depth ? rounded + 8 : rounded;
}

struct Builder {
  Net& net;
  std::vector<std::pair<std::string, tensorflow::Output>> inner;  // end points that come after all layers

  tensorflow::Output block(const Scope& outer, const tensorflow::Output& input, const std::string& name,
                           const std::string& layer, const Block& b, int depth, int expansion) {
    const Scope s = outer.var_scope(name);
    const int channels = net.channels(s, input);
    tensorflow::Output x = input;
    auto keep = [&](const char* what) { inner.emplace_back(layer + "/" + what, x); };
    if (expansion > 1) {
      x = net.conv2d(s, x, divisible(channels * expansion), 1, "expand");
      keep("expansion_output");
    }
    layers::SeparableConv2dOptions depthwise = net.separable;
    depthwise.stride = b.stride;
    x = layers::depthwise_conv2d(s, x, 3, "depthwise", depthwise);
    keep("depthwise_output");
    layers::Conv2dOptions project = net.conv;
    project.activation = nullptr;
    x = layers::conv2d(s, x, depth, 1, "project", project);
    if (b.stride == 1 && depth == channels) x = net.add(s, x, input);
    keep("output");
    return x;
  }
};

}  // namespace

NetworkOutput mobilenet_v2(const Scope& scope, const tensorflow::Output& images, const Params& params) {
  Net net(params);
  net.batch_norm.scale = true;
  net.batch_norm.decay = net.batch_norm_decay(0.997f);
  net.normalize_convolutions();
  net.conv.activation = net.separable.activation = layers::relu6;
  net.conv.weights_initializer = net.separable.weights_initializer = truncated_normal_initializer(0.09f);
  net.separable.weight_decay = 0;
  const double multiplier = multiplier_of(params.name);

  const Scope s = scope.var_scope("MobilenetV2");
  Builder builder{net, {}};
  tensorflow::Output x = net.end_point("layer_1", net.conv2d(s, images, divisible(32 * multiplier), 3, "Conv", 2));
  int i = 0;
  for (const Block& b : kBlocks) {
    const std::string name = i == 0 ? "expanded_conv" : "expanded_conv_" + std::to_string(i);
    const std::string layer = "layer_" + std::to_string(i + 2);
    x = net.end_point(layer, builder.block(s, x, name, layer, b, divisible(b.depth * multiplier), i == 0 ? 1 : 6));
    ++i;
  }
  // Narrow variants keep the width of the last layer.
  const int last = multiplier < 1 ? 1280 : divisible(1280 * multiplier);
  x = net.end_point("layer_19", net.conv2d(s, x, last, 1, "Conv_1"));
  for (const auto& [name, output] : builder.inner) net.end_point(name, output);
  const Scope end = s.var_scope("Logits");
  x = net.end_point("global_pool", net.global_pool(end, x, "AvgPool"));
  x = net.dropout(end, x, 0.8f, "Dropout");
  x = net.linear_conv2d(end, x, params.num_classes, 1, "Conv2d_1c_1x1");
  return net.finish(scope, net.squeeze_logits(end, x));
}

}  // namespace mox::nets
