// Inception-ResNet v2 (Szegedy 2016): Inception blocks as scaled residuals.
#include "nets/families.h"
#include "nets/inception.h"

namespace mox::nets {

using namespace inception;  // NOLINT: the blocks' vocabulary

namespace {

Step valid(Step each) {
  each.padding = layers::Padding::kValid;
  return each;
}

tensorflow::Output stem(Net& net, const Scope& s, const tensorflow::Output& images) {
  tensorflow::Output x = step(net, s, images, reduce(32, "Conv2d_1a_3x3"));
  x = step(net, s, x, valid(conv(32, 3, "Conv2d_2a_3x3")));
  x = step(net, s, x, conv(64, 3, "Conv2d_2b_3x3"));
  x = step(net, s, x, reduce_pool("MaxPool_3a_3x3"));
  x = step(net, s, x, valid(conv(80, 1, "Conv2d_3b_1x1")));
  x = step(net, s, x, valid(conv(192, 3, "Conv2d_4a_3x3")));
  x = step(net, s, x, reduce_pool("MaxPool_5a_3x3"));
  return net.end_point(
      "Mixed_5b", mixed(net, s, x, "Mixed_5b",
                        {{conv(96, 1, "Conv2d_1x1")},
                         {conv(48, 1, "Conv2d_0a_1x1"), conv(64, 5, "Conv2d_0b_5x5")},
                         {conv(64, 1, "Conv2d_0a_1x1"), conv(96, 3, "Conv2d_0b_3x3"), conv(96, 3, "Conv2d_0c_3x3")},
                         {avg_pool(), conv(64, 1, "Conv2d_0b_1x1")}}));
}

// x + scale * (1x1 convolution of the block).
tensorflow::Output residual(const Net& net, const Scope& scope, const tensorflow::Output& x, const std::string& name,
                            const std::vector<Branch>& branches, float scale, bool activate = true) {
  const tensorflow::Output joined = mixed(net, scope, x, name, branches);
  // `mixed` opened the variable scope `name`; the convolution up belongs into it too.
  const Scope s = scope.var_scope(name);
  layers::Conv2dOptions linear = net.conv;
  linear.activation = nullptr;
  linear.normalizer = nullptr;
  const tensorflow::Output up = layers::conv2d(s, joined, net.channels(s, x), 1, "Conv2d_1x1", linear);
  const tensorflow::Output y = net.add(s, x, net.scale(s, up, scale));
  return activate ? layers::relu(s, y) : y;
}

std::vector<Branch> block35() {
  return {{conv(32, 1, "Conv2d_1x1")},
          {conv(32, 1, "Conv2d_0a_1x1"), conv(32, 3, "Conv2d_0b_3x3")},
          {conv(32, 1, "Conv2d_0a_1x1"), conv(48, 3, "Conv2d_0b_3x3"), conv(64, 3, "Conv2d_0c_3x3")}};
}

std::vector<Branch> block17() {
  return {{conv(192, 1, "Conv2d_1x1")},
          {conv(128, 1, "Conv2d_0a_1x1"), conv(160, {1, 7}, "Conv2d_0b_1x7"), conv(192, {7, 1}, "Conv2d_0c_7x1")}};
}

std::vector<Branch> block8() {
  return {{conv(192, 1, "Conv2d_1x1")},
          {conv(192, 1, "Conv2d_0a_1x1"), conv(224, {1, 3}, "Conv2d_0b_1x3"), conv(256, {3, 1}, "Conv2d_0c_3x1")}};
}

std::vector<Branch> reduction_a() {
  return {{reduce(384, "Conv2d_1a_3x3")},
          {conv(256, 1, "Conv2d_0a_1x1"), conv(256, 3, "Conv2d_0b_3x3"), reduce(384, "Conv2d_1a_3x3")},
          {reduce_pool()}};
}

std::vector<Branch> reduction_b() {
  return {{conv(256, 1, "Conv2d_0a_1x1"), reduce(384, "Conv2d_1a_3x3")},
          {conv(256, 1, "Conv2d_0a_1x1"), reduce(288, "Conv2d_1a_3x3")},
          {conv(256, 1, "Conv2d_0a_1x1"), conv(288, 3, "Conv2d_0b_3x3"), reduce(320, "Conv2d_1a_3x3")},
          {reduce_pool()}};
}

}  // namespace

NetworkOutput inception_resnet_v2(const Scope& scope, const tensorflow::Output& images, const Params& params) {
  Net net(params);
  set_defaults(net);
  net.conv.weights_initializer = nullptr;  // Xavier
  net.conv.bias_weight_decay = net.dense.bias_weight_decay = params.options.weight_decay;
  const Scope s = scope.var_scope("InceptionResnetV2");
  tensorflow::Output x = stem(net, s, images);
  auto repeat = [&](const Scope& group, const std::string& name, int count, const std::vector<Branch>& branches,
                    float scale) {
    for (int i = 1; i <= count; ++i) x = residual(net, group, x, name + "_" + std::to_string(i), branches, scale);
  };
  repeat(s.var_scope("Repeat"), "block35", 10, block35(), 0.17f);
  x = net.end_point("Mixed_6a", mixed(net, s, x, "Mixed_6a", reduction_a()));
  repeat(s.var_scope("Repeat_1"), "block17", 20, block17(), 0.10f);
  const tensorflow::Output for_auxiliary = net.end_point("PreAuxLogits", x);
  x = net.end_point("Mixed_7a", mixed(net, s, x, "Mixed_7a", reduction_b()));
  repeat(s.var_scope("Repeat_2"), "block8", 9, block8(), 0.20f);
  x = residual(net, s, x, "Block8", block8(), 1.0f, false);
  x = step(net, s, x, conv(1536, 1, "Conv2d_7b_1x1"));
  const Scope aux = s.var_scope("AuxLogits");
  net.end_point("AuxLogits", auxiliary_classifier(net, aux, for_auxiliary,
                                                  {"Conv2d_1a_3x3", "Conv2d_1b_1x1", "Conv2d_2a_5x5", "Logits"}));
  const Scope end = s.var_scope("Logits");
  x = net.end_point("global_pool", net.global_pool(end, x, "AvgPool_1a_8x8"));
  x = net.dropout(end, net.flatten(end, x), 0.8f, "Dropout");
  net.end_point("PreLogitsFlatten", x);
  return net.finish(scope, net.linear(end, x, params.num_classes, "Logits"));
}

}  // namespace mox::nets
