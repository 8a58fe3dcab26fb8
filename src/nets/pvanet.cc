// PVANET (Kim 2016): the trunk, conv1_1 to conv5_4, as a classifier. C.ReLU in the early layers, residual Inception
// blocks in the late ones.
#include "nets/families.h"

namespace mox::nets {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

namespace {

tf::Output negative(const Net& net, const Scope& s, const tf::Output& x) { return net.scale(s, x, -1); }

// Filters of early layers come in pairs of opposite sign: half of them are computed, the others are their negatives;
// each half then gets a scale and a shift of its own.
tf::Output c_relu(const Net& net, const Scope& s, const tf::Output& x, int filters, int kernel, int stride) {
  layers::Conv2dOptions linear = net.conv;
  linear.activation = nullptr;
  const tf::Output y = net.conv2d_same(s, x, filters, kernel, "conv", stride, linear);
  const tf::Output both = net.concat(s, {y, negative(net, s, y)});
  const int channels = 2 * filters;
  tf::Output scale = s.get_variable("scale", {channels}, {.initializer = ones_initializer(), .dtype = x.type()});
  tf::Output shift = s.get_variable("shift", {channels}, {.initializer = zeros_initializer(), .dtype = x.type()});
  if (net.data_format() == "NCHW") {
    scale = ops::Reshape(s, scale, {1, channels, 1, 1});
    shift = ops::Reshape(s, shift, {1, channels, 1, 1});
  }
  return layers::relu(s, ops::AddV2(s, ops::Multiply(s, both, scale), shift));
}

tf::Output linear_1x1(const Net& net, const Scope& s, const tf::Output& x, int outputs, const std::string& name,
                      int stride = 1) {
  layers::Conv2dOptions linear = net.conv;
  linear.activation = nullptr;
  linear.stride = stride;
  return layers::conv2d(s, x, outputs, 1, name, linear);
}

// shortcut + y; the shortcut is projected where the shape changes.
tf::Output residual(Net& net, const Scope& s, const tf::Output& x, const tf::Output& y, int outputs, int stride) {
  const bool same = net.channels(s, x) == outputs && stride == 1;
  const tf::Output shortcut = same ? x : linear_1x1(net, s, x, outputs, "shortcut", stride);
  return net.end_point(s.variable_scope_name(), layers::relu(s, net.add(s, shortcut, y)));
}

// 1x1 to `inner`, 3x3 C.ReLU, 1x1 to `outputs`.
tf::Output c_relu_block(Net& net, const Scope& outer, const std::string& name, const tf::Output& x, int inner,
                        int outputs, int stride) {
  const Scope s = outer.var_scope(name);
  tf::Output y = net.conv2d(s, x, inner, 1, "conv1", stride);
  y = c_relu(net, s.var_scope("conv2"), y, inner, 3, 1);
  return residual(net, s, x, linear_1x1(net, s, y, outputs, "conv3"), outputs, stride);
}

struct InceptionSizes {
  int one;              // 1x1
  int three_in, three;  // 1x1, 3x3
  int five_in, five;    // 1x1, 3x3, 3x3: the view of a 5x5
  int pool;             // where the block halves the image
  int outputs;
};

tf::Output inception_block(Net& net, const Scope& outer, const std::string& name, const tf::Output& x,
                           const InceptionSizes& n, int stride) {
  const Scope s = outer.var_scope(name);
  auto conv = [&](const Scope& b, const tf::Output& in, int outputs, int kernel, const std::string& conv_name, int st) {
    return net.conv2d_same(b, in, outputs, kernel, conv_name, st, net.conv);
  };
  const Scope b1 = s.var_scope("Branch_1"), b2 = s.var_scope("Branch_2");
  std::vector<tf::Output> branches = {conv(s.var_scope("Branch_0"), x, n.one, 1, "Conv2d_0a_1x1", stride)};
  tf::Output y = conv(b1, x, n.three_in, 1, "Conv2d_0a_1x1", stride);
  branches.push_back(conv(b1, y, n.three, 3, "Conv2d_0b_3x3", 1));
  y = conv(b2, x, n.five_in, 1, "Conv2d_0a_1x1", stride);
  y = conv(b2, y, n.five, 3, "Conv2d_0b_3x3", 1);
  branches.push_back(conv(b2, y, n.five, 3, "Conv2d_0c_3x3", 1));
  if (stride > 1) {
    const Scope b3 = s.var_scope("Branch_3");
    const tf::Output pooled = net.max_pool(b3, x, 3, "MaxPool_0a_3x3", stride, layers::Padding::kSame);
    branches.push_back(conv(b3, pooled, n.pool, 1, "Conv2d_0b_1x1", 1));
  }
  y = linear_1x1(net, s, net.concat(s, branches), n.outputs, "conv");
  return residual(net, s, x, y, n.outputs, stride);
}

}  // namespace

NetworkOutput pvanet(const Scope& scope, const tf::Output& images, const Params& params) {
  Net net(params);
  net.batch_norm.scale = true;
  net.batch_norm.decay = net.batch_norm_decay(0.997f);
  net.batch_norm.epsilon = 1e-5f;
  net.normalize_convolutions();
  net.conv.weights_initializer = variance_scaling_initializer();
  const Scope s = scope.var_scope(params.name);
  const Scope first = s.var_scope("conv1_1");
  tf::Output x = net.end_point(first.variable_scope_name(), c_relu(net, first, images, 16, 7, 2));
  x = net.end_point(params.name + "/pool1_1", net.max_pool(s, x, 3, "pool1_1", 2, layers::Padding::kSame));
  for (int i = 1; i <= 3; ++i) x = c_relu_block(net, s, "conv2_" + std::to_string(i), x, 24, 64, 1);
  for (int i = 1; i <= 4; ++i) x = c_relu_block(net, s, "conv3_" + std::to_string(i), x, 48, 128, i == 1 ? 2 : 1);
  for (int i = 1; i <= 4; ++i)
    x = inception_block(net, s, "conv4_" + std::to_string(i), x, {64, i == 1 ? 48 : 64, 128, 24, 48, 128, 256},
                        i == 1 ? 2 : 1);
  for (int i = 1; i <= 4; ++i)
    x = inception_block(net, s, "conv5_" + std::to_string(i), x, {64, 96, 192, 32, 64, 128, 384}, i == 1 ? 2 : 1);
  x = net.end_point("global_pool", net.global_pool(s, x, "pool5"));
  const tf::Output logits = net.linear_conv2d(s, x, params.num_classes, 1, "logits");
  return net.finish(scope, net.squeeze_logits(s, logits), params.name + "/logits", "predictions");
}

}  // namespace mox::nets
