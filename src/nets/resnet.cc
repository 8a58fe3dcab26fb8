#include "nets/resnet.h"

namespace mox::nets::resnet {

namespace tf = tensorflow;

std::vector<Block> bottleneck_blocks(const std::string& name) {
  auto blocks = [](int second, int third) {
    return std::vector<Block>{{64, 3, 2}, {128, second, 2}, {256, third, 2}, {512, 3, 1}};
  };
  auto ends_with = [&](const std::string& depth) {
    return name.size() > depth.size() && name.compare(name.size() - depth.size(), depth.size(), depth) == 0;
  };
  if (ends_with("_101")) return blocks(4, 23);
  if (ends_with("_152")) return blocks(8, 36);
  if (ends_with("_200")) return blocks(24, 36);
  return blocks(4, 6);
}

Style style_of(const std::string& name) {
  if (name.rfind("resnet_v15_", 0) == 0) return {Halving::kFirstUnit, true};
  if (name.rfind("resnet_v1_keras_", 0) == 0) return {Halving::kFirstUnitPointwise, true};
  if (name.rfind("resnet_v2_keras_", 0) == 0) return {Halving::kLastUnit, true};
  return {};
}

int stride_of(const Style& style, const Block& block, int number, int unit) {
  if (style.halving == Halving::kLastUnit) return unit == block.units ? block.stride : 1;
  return unit == 1 && number > 1 ? 2 : 1;
}

tf::Output first_pool(const Net& net, const Scope& s, const tf::Output& x) {
  if (!style_of(net.params().name).even_pool) return net.max_pool(s, x, 3, "pool1");
  const tf::Output padded = layers::pad2d(s, x, {1, 1, 1, 1}, "pool1/Pad", net.data_format());
  return net.max_pool(s, padded, 3, "pool1", 2, layers::Padding::kValid);
}

void set_defaults(Net& net) {
  net.batch_norm.decay = net.batch_norm_decay(0.997f);
  net.batch_norm.epsilon = 1e-5f;
  net.batch_norm.scale = true;
  net.normalize_convolutions();
  net.conv.weights_initializer = variance_scaling_initializer();
  net.pool.padding = layers::Padding::kSame;
}

std::string unit_name(int unit) { return "unit_" + std::to_string(unit); }

tf::Output conv(Net& net, const Scope& scope, const tf::Output& x, int outputs, int kernel, const std::string& name,
                int stride, const layers::Conv2dOptions& options) {
  return net.end_point(scope.variable_scope_name() + "/" + name,
                       net.conv2d_same(scope, x, outputs, kernel, name, stride, options));
}

NetworkOutput finish(Net& net, const Scope& scope, const Scope& outer, const tf::Output& inputs) {
  const std::string& name = net.params().name;
  tf::Output x = net.end_point("global_pool", net.global_pool(scope, inputs, "pool5"));
  x = net.end_point(name + "/logits", net.linear_conv2d(scope, x, net.params().num_classes, 1, "logits"));
  x = net.squeeze_logits(scope, x);
  return net.finish(outer, x, name + "/spatial_squeeze", "predictions");
}

}  // namespace mox::nets::resnet
