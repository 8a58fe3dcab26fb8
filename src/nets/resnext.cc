// ResNeXt 32x4d (Xie 2016). Form B: 32 paths of 1x1 and 3x3 convolutions, joined. Form C: grouped 3x3 convolutions.
// The two compute the same family of functions; form B normalizes and stores each path for itself.
#include "graph/split_variables.h"
#include "nets/families.h"
#include "nets/resnet.h"

namespace mox::nets {

namespace tf = tensorflow;

namespace {

constexpr int kPaths = 32;

// `width` channels in 32 paths, 3x3. All paths are computed at once, with variables of their own: a layer's are one
// variable in 32 pieces.
tf::Output form_b(Net& net, const Scope& s, const tf::Output& x, int width, int stride) {
  const SplitVariables paths(s, "path_", kPaths);
  layers::Conv2dOptions grouped = net.conv;
  grouped.groups = kPaths;
  const tf::Output y = net.conv2d(s, x, width, 1, "conv1");
  return net.end_point(s.variable_scope_name() + "/concat", net.conv2d_same(s, y, width, 3, "conv2", stride, grouped));
}

tf::Output form_c(Net& net, const Scope& s, const tf::Output& x, int width, int stride) {
  layers::Conv2dOptions grouped = net.conv;
  grouped.groups = kPaths;
  const tf::Output y = resnet::conv(net, s, x, width, 1, "conv1", 1, net.conv);
  return resnet::conv(net, s, y, width, 3, "conv2", stride, grouped);
}

tf::Output unit(Net& net, const Scope& outer, const tf::Output& x, int depth, int stride, bool is_form_b) {
  const Scope s = outer.var_scope(is_form_b ? "resnext_b" : "resnext_c");
  layers::Conv2dOptions linear = net.conv;
  linear.activation = nullptr;
  const tf::Output shortcut =
      net.channels(s, x) == depth && stride == 1 ? x : resnet::conv(net, s, x, depth, 1, "shortcut", stride, linear);
  const tf::Output y = is_form_b ? form_b(net, s, x, depth / 2, stride) : form_c(net, s, x, depth / 2, stride);
  const tf::Output z = resnet::conv(net, s, y, depth, 1, "conv3", 1, linear);
  return net.end_point(s.variable_scope_name(), layers::relu(s, net.add(s, shortcut, z)));
}

}  // namespace

NetworkOutput resnext(const Scope& scope, const tf::Output& images, const Params& params) {
  Net net(params);
  resnet::set_defaults(net);
  const bool is_form_b = params.name == NetworkKeys::RESNEXT_B_50 || params.name == NetworkKeys::RESNEXT_B_101;
  const Scope s = scope.var_scope(params.name);
  tf::Output x = resnet::conv(net, s, images, 64, 7, "conv1", 2, net.conv);
  x = net.max_pool(s, x, 3, "pool1");
  int number = 0;
  // After the paper each stage but the first halves the image in its first unit.
  for (const resnet::Block& block : resnet::bottleneck_blocks(params.name)) {
    const Scope b = s.var_scope("block" + std::to_string(++number));
    for (int u = 1; u <= block.units; ++u)
      x = unit(net, b.var_scope(resnet::unit_name(u)), x, 4 * block.depth, number > 1 && u == 1 ? 2 : 1, is_form_b);
    net.end_point(b.variable_scope_name(), x);
  }
  return resnet::finish(net, s, scope, x);
}

}  // namespace mox::nets
