// ResNet v2 (He 2016): normalization and activation before each convolution.
#include "nets/families.h"
#include "nets/resnet.h"

namespace mox::nets {

namespace tf = tensorflow;

namespace {

tf::Output bottleneck(Net& net, const Scope& outer, const tf::Output& x, int depth, int stride) {
  const Scope s = outer.var_scope("bottleneck_v2");
  layers::BatchNormOptions norm = net.batch_norm;
  norm.activation = layers::relu;
  const tf::Output before = layers::batch_norm(s, x, "preact", norm);
  layers::Conv2dOptions linear = net.conv;
  linear.activation = nullptr;
  linear.normalizer = nullptr;
  const tf::Output shortcut = net.channels(s, x) == 4 * depth
                                  ? net.subsample(s, x, stride)
                                  : resnet::conv(net, s, before, 4 * depth, 1, "shortcut", stride, linear);
  tf::Output y = resnet::conv(net, s, before, depth, 1, "conv1", 1, net.conv);
  y = resnet::conv(net, s, y, depth, 3, "conv2", stride, net.conv);
  y = resnet::conv(net, s, y, 4 * depth, 1, "conv3", 1, linear);
  return net.end_point(s.variable_scope_name(), net.add(s, shortcut, y));
}

}  // namespace

NetworkOutput resnet_v2(const Scope& scope, const tf::Output& images, const Params& params) {
  Net net(params);
  resnet::set_defaults(net);
  const Scope s = scope.var_scope(params.name);
  layers::Conv2dOptions first = net.conv;
  first.activation = nullptr;
  first.normalizer = nullptr;
  tf::Output x = resnet::conv(net, s, images, 64, 7, "conv1", 2, first);
  x = resnet::first_pool(net, s, x);
  const resnet::Style style = resnet::style_of(params.name);
  int number = 0;
  for (const resnet::Block& block : resnet::bottleneck_blocks(params.name)) {
    const Scope b = s.var_scope("block" + std::to_string(++number));
    for (int unit = 1; unit <= block.units; ++unit)
      x = bottleneck(net, b.var_scope(resnet::unit_name(unit)), x, block.depth,
                     resnet::stride_of(style, block, number, unit));
    net.end_point(b.variable_scope_name(), x);
  }
  layers::BatchNormOptions norm = net.batch_norm;
  norm.activation = layers::relu;
  x = layers::batch_norm(s, x, "postnorm", norm);
  return resnet::finish(net, s, scope, x);
}

}  // namespace mox::nets
