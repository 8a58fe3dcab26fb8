// ResNets of two-convolution units (He 2015): 18 and 34 layers for ImageNet, 20 and 110 for 32x32 images.
#include "nets/families.h"
#include "nets/resnet.h"

namespace mox::nets {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

namespace {

enum class Shortcut { kProjection, kZeros };

// The paper's option A: every second pixel, new channels are zeros. No weights.
tf::Output padded_shortcut(const Net& net, const Scope& s, const tf::Output& x, int depth, int stride) {
  const int missing = depth - net.channels(s, x);
  const tf::Output small = net.subsample(s, x, stride);
  tf::Tensor paddings(tf::DT_INT32, {4, 2});
  paddings.matrix<int>().setZero();
  paddings.matrix<int>()(net.channel_axis(), 0) = missing / 2;
  paddings.matrix<int>()(net.channel_axis(), 1) = missing - missing / 2;
  return ops::Pad(s.WithOpName("shortcut"), small, tf::Input::Initializer(paddings));
}

tf::Output unit(Net& net, const Scope& outer, const tf::Output& x, int depth, int stride, Shortcut kind) {
  const Scope s = outer.var_scope("basic_v1");
  layers::Conv2dOptions linear = net.conv;
  linear.activation = nullptr;
  tf::Output shortcut = x;
  if (net.channels(s, x) != depth || stride != 1)
    shortcut = kind == Shortcut::kProjection ? resnet::conv(net, s, x, depth, 1, "shortcut", stride, linear)
                                             : padded_shortcut(net, s, x, depth, stride);
  tf::Output y = resnet::conv(net, s, x, depth, 3, "conv1", stride, net.conv);
  y = resnet::conv(net, s, y, depth, 3, "conv2", 1, linear);
  return net.end_point(s.variable_scope_name(), layers::relu(s, net.add(s, shortcut, y)));
}

struct Stage {
  int depth;
  int units;
};

// Each stage but the first halves the image in its first unit.
tf::Output stages(Net& net, const Scope& s, tf::Output x, const std::vector<Stage>& stages, Shortcut kind) {
  for (size_t i = 0; i < stages.size(); ++i) {
    const Scope b = s.var_scope("block" + std::to_string(i + 1));
    for (int u = 1; u <= stages[i].units; ++u)
      x = unit(net, b.var_scope(resnet::unit_name(u)), x, stages[i].depth, i > 0 && u == 1 ? 2 : 1, kind);
    net.end_point(b.variable_scope_name(), x);
  }
  return x;
}

}  // namespace

NetworkOutput resnet_v1_basic(const Scope& scope, const tf::Output& images, const Params& params) {
  Net net(params);
  resnet::set_defaults(net);
  const Scope s = scope.var_scope(params.name);
  tf::Output x = resnet::conv(net, s, images, 64, 7, "conv1", 2, net.conv);
  x = resnet::first_pool(net, s, x);
  const bool is_34 = params.name == NetworkKeys::RESNET_V15_34;
  const std::vector<Stage> of_18 = {{64, 2}, {128, 2}, {256, 2}, {512, 2}};
  const std::vector<Stage> of_34 = {{64, 3}, {128, 4}, {256, 6}, {512, 3}};
  x = stages(net, s, x, is_34 ? of_34 : of_18, Shortcut::kProjection);
  return resnet::finish(net, s, scope, x);
}

NetworkOutput resnet_v1_cifar(const Scope& scope, const tf::Output& images, const Params& params) {
  Net net(params);
  resnet::set_defaults(net);
  // 6n + 2 layers.
  const int units = params.name == NetworkKeys::RESNET_V1_110 ? 18 : 3;
  const Scope s = scope.var_scope(params.name);
  tf::Output x = resnet::conv(net, s, images, 16, 3, "conv1", 1, net.conv);
  x = stages(net, s, x, {{16, units}, {32, units}, {64, units}}, Shortcut::kZeros);
  return resnet::finish(net, s, scope, x);
}

}  // namespace mox::nets
