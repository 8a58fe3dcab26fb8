// ResNet v1 (He 2015) for ImageNet: bottleneck units, batch normalization after each convolution.
#include "nets/families.h"
#include "nets/resnet.h"

namespace mox::nets {

namespace tf = tensorflow;

namespace {

// The last normalization of a unit starts from 0 in the large-batch variant (Goyal 2017): every unit begins as the
// identity, which lets a batch of 8192 start with a high learning rate.
layers::Conv2dOptions last_convolution(const Net& net) {
  layers::Conv2dOptions options = net.conv;
  options.activation = nullptr;
  if (net.params().name == NetworkKeys::RESNET_V1_50_8K) {
    layers::BatchNormOptions norm = net.batch_norm;
    norm.gamma_initializer = zeros_initializer();
    options.normalizer = layers::batch_normalizer(norm);
  }
  return options;
}

tf::Output bottleneck(Net& net, const Scope& outer, const tf::Output& x, int depth, int stride,
                      const resnet::Style& style) {
  const Scope s = outer.var_scope("bottleneck_v1");
  const bool pointwise = style.halving == resnet::Halving::kFirstUnitPointwise;
  layers::Conv2dOptions linear = net.conv;
  linear.activation = nullptr;
  const tf::Output shortcut = net.channels(s, x) == 4 * depth
                                  ? net.subsample(s, x, stride)
                                  : resnet::conv(net, s, x, 4 * depth, 1, "shortcut", stride, linear);
  tf::Output y = resnet::conv(net, s, x, depth, 1, "conv1", pointwise ? stride : 1, net.conv);
  y = resnet::conv(net, s, y, depth, 3, "conv2", pointwise ? 1 : stride, net.conv);
  y = resnet::conv(net, s, y, 4 * depth, 1, "conv3", 1, last_convolution(net));
  return net.end_point(s.variable_scope_name(), layers::relu(s, net.add(s, shortcut, y)));
}

}  // namespace

NetworkOutput resnet_v1(const Scope& scope, const tf::Output& images, const Params& params) {
  Net net(params);
  resnet::set_defaults(net);
  if (params.name == NetworkKeys::RESNET_V1_50_8K) {
    net.batch_norm.decay = net.batch_norm_decay(0.9f);
    net.normalize_convolutions();
  }
  const Scope s = scope.var_scope(params.name);
  tf::Output x = resnet::conv(net, s, images, 64, 7, "conv1", 2, net.conv);
  x = resnet::first_pool(net, s, x);
  const resnet::Style style = resnet::style_of(params.name);
  int number = 0;
  for (const resnet::Block& block : resnet::bottleneck_blocks(params.name)) {
    const Scope b = s.var_scope("block" + std::to_string(++number));
    for (int unit = 1; unit <= block.units; ++unit)
      x = bottleneck(net, b.var_scope(resnet::unit_name(unit)), x, block.depth,
                     resnet::stride_of(style, block, number, unit), style);
    net.end_point(b.variable_scope_name(), x);
  }
  return resnet::finish(net, s, scope, x);
}

}  // namespace mox::nets
