// AlexNet (Krizhevsky 2014, "one weird trick") and OverFeat (Sermanet 2014), dense layers as convolutions.
#include "nets/families.h"

namespace mox::nets {

using layers::Padding;

namespace {

// The dense layers start from a narrower distribution than the convolutions.
void start_dense_layers(Net& net) {
  net.conv.weights_initializer = truncated_normal_initializer(0.005f);
  net.conv.biases_initializer = constant_initializer(0.1f);
}

}  // namespace

NetworkOutput alexnet_v2(const Scope& scope, const tensorflow::Output& images, const Params& params) {
  Net net(params);
  net.conv.biases_initializer = constant_initializer(0.1f);
  const Scope s = scope.var_scope(params.name);
  const std::string prefix = params.name + "/";
  auto conv = [&](const tensorflow::Output& x, int outputs, int kernel, const std::string& name) {
    return net.end_point(prefix + name, net.conv2d(s, x, outputs, kernel, name));
  };
  auto pool = [&](const tensorflow::Output& x, const std::string& name) {
    return net.end_point(prefix + name, net.max_pool(s, x, 3, name));
  };
  tensorflow::Output x = net.end_point(prefix + "conv1", net.conv2d(s, images, 64, 11, "conv1", 4, Padding::kValid));
  x = conv(pool(x, "pool1"), 192, 5, "conv2");
  x = conv(pool(x, "pool2"), 384, 3, "conv3");
  x = conv(x, 384, 3, "conv4");
  x = conv(x, 256, 3, "conv5");
  x = pool(x, "pool5");
  start_dense_layers(net);
  return finish_with_head(net, s, x, {.fc6 = 4096, .fc6_kernel = 5, .fc7 = 4096});
}

NetworkOutput overfeat(const Scope& scope, const tensorflow::Output& images, const Params& params) {
  Net net(params);
  const Scope s = scope.var_scope(params.name);
  const std::string prefix = params.name + "/";
  auto conv = [&](const tensorflow::Output& x, int outputs, int kernel, const std::string& name, int stride,
                  Padding padding) {
    return net.end_point(prefix + name, net.conv2d(s, x, outputs, kernel, name, stride, padding));
  };
  auto pool = [&](const tensorflow::Output& x, const std::string& name) {
    return net.end_point(prefix + name, net.max_pool(s, x, 2, name));
  };
  tensorflow::Output x = conv(images, 64, 11, "conv1", 4, Padding::kValid);
  x = conv(pool(x, "pool1"), 256, 5, "conv2", 1, Padding::kValid);
  x = conv(pool(x, "pool2"), 512, 3, "conv3", 1, Padding::kSame);
  x = conv(x, 1024, 3, "conv4", 1, Padding::kSame);
  x = conv(x, 1024, 3, "conv5", 1, Padding::kSame);
  x = pool(x, "pool5");
  start_dense_layers(net);
  return finish_with_head(net, s, x, {.fc6 = 3072, .fc6_kernel = 6, .fc7 = 4096});
}

}  // namespace mox::nets
