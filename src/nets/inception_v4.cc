// Inception v4 (Szegedy 2016): a deeper stem, uniform blocks, an auxiliary classifier.
#include "nets/families.h"
#include "nets/inception.h"

namespace mox::nets {

using namespace inception;  // NOLINT: the blocks' vocabulary

namespace {

constexpr auto kValid = layers::Padding::kValid;

Step valid(Step each) {
  each.padding = kValid;
  return each;
}

tensorflow::Output stem(Net& net, const Scope& s, const tensorflow::Output& images) {
  tensorflow::Output x = step(net, s, images, reduce(32, "Conv2d_1a_3x3"));
  x = step(net, s, x, valid(conv(32, 3, "Conv2d_2a_3x3")));
  x = step(net, s, x, conv(64, 3, "Conv2d_2b_3x3"));
  x = net.end_point("Mixed_3a",
                    mixed(net, s, x, "Mixed_3a", {{reduce_pool("MaxPool_0a_3x3")}, {reduce(96, "Conv2d_0a_3x3")}}));
  x = net.end_point("Mixed_4a", mixed(net, s, x, "Mixed_4a",
                                      {{conv(64, 1, "Conv2d_0a_1x1"), valid(conv(96, 3, "Conv2d_1a_3x3"))},
                                       {conv(64, 1, "Conv2d_0a_1x1"), conv(64, {1, 7}, "Conv2d_0b_1x7"),
                                        conv(64, {7, 1}, "Conv2d_0c_7x1"), valid(conv(96, 3, "Conv2d_1a_3x3"))}}));
  return net.end_point("Mixed_5a", mixed(net, s, x, "Mixed_5a", {{reduce(192, "Conv2d_1a_3x3")}, {reduce_pool()}}));
}

std::vector<Branch> block_a() {
  return {{conv(96, 1, "Conv2d_0a_1x1")},
          {conv(64, 1, "Conv2d_0a_1x1"), conv(96, 3, "Conv2d_0b_3x3")},
          {conv(64, 1, "Conv2d_0a_1x1"), conv(96, 3, "Conv2d_0b_3x3"), conv(96, 3, "Conv2d_0c_3x3")},
          {avg_pool(), conv(96, 1, "Conv2d_0b_1x1")}};
}

std::vector<Branch> reduction_a() {
  return {{reduce(384, "Conv2d_1a_3x3")},
          {conv(192, 1, "Conv2d_0a_1x1"), conv(224, 3, "Conv2d_0b_3x3"), reduce(256, "Conv2d_1a_3x3")},
          {reduce_pool()}};
}

std::vector<Branch> block_b() {
  return {{conv(384, 1, "Conv2d_0a_1x1")},
          {conv(192, 1, "Conv2d_0a_1x1"), conv(224, {1, 7}, "Conv2d_0b_1x7"), conv(256, {7, 1}, "Conv2d_0c_7x1")},
          {conv(192, 1, "Conv2d_0a_1x1"), conv(192, {7, 1}, "Conv2d_0b_7x1"), conv(224, {1, 7}, "Conv2d_0c_1x7"),
           conv(224, {7, 1}, "Conv2d_0d_7x1"), conv(256, {1, 7}, "Conv2d_0e_1x7")},
          {avg_pool(), conv(128, 1, "Conv2d_0b_1x1")}};
}

std::vector<Branch> reduction_b() {
  return {{conv(192, 1, "Conv2d_0a_1x1"), reduce(192, "Conv2d_1a_3x3")},
          {conv(256, 1, "Conv2d_0a_1x1"), conv(256, {1, 7}, "Conv2d_0b_1x7"), conv(320, {7, 1}, "Conv2d_0c_7x1"),
           reduce(320, "Conv2d_1a_3x3")},
          {reduce_pool()}};
}

std::vector<Branch> block_c() {
  return {
      {conv(256, 1, "Conv2d_0a_1x1")},
      {conv(384, 1, "Conv2d_0a_1x1"), fork({conv(256, {1, 3}, "Conv2d_0b_1x3"), conv(256, {3, 1}, "Conv2d_0c_3x1")})},
      {conv(384, 1, "Conv2d_0a_1x1"), conv(448, {3, 1}, "Conv2d_0b_3x1"), conv(512, {1, 3}, "Conv2d_0c_1x3"),
       fork({conv(256, {1, 3}, "Conv2d_0d_1x3"), conv(256, {3, 1}, "Conv2d_0e_3x1")})},
      {avg_pool(), conv(256, 1, "Conv2d_0b_1x1")}};
}

}  // namespace

NetworkOutput inception_v4(const Scope& scope, const tensorflow::Output& images, const Params& params) {
  Net net(params);
  set_defaults(net);
  const Scope s = scope.var_scope("InceptionV4");
  tensorflow::Output x = stem(net, s, images);
  char letter = 'b';
  auto blocks = [&](const std::string& size, int count, const std::vector<Branch>& branches) {
    for (int i = 0; i < count; ++i) {
      const std::string name = "Mixed_" + size + letter++;
      x = net.end_point(name, mixed(net, s, x, name, branches));
    }
  };
  blocks("5", 4, block_a());
  x = net.end_point("Mixed_6a", mixed(net, s, x, "Mixed_6a", reduction_a()));
  letter = 'b';
  blocks("6", 7, block_b());
  const tensorflow::Output for_auxiliary = x;
  x = net.end_point("Mixed_7a", mixed(net, s, x, "Mixed_7a", reduction_b()));
  letter = 'b';
  blocks("7", 3, block_c());
  const Scope aux = s.var_scope("AuxLogits");
  net.end_point("AuxLogits", auxiliary_classifier(net, aux, for_auxiliary,
                                                  {"AvgPool_1a_5x5", "Conv2d_1b_1x1", "Conv2d_2a", "Aux_logits"}));
  const Scope end = s.var_scope("Logits");
  x = net.end_point("global_pool", net.global_pool(end, x, "AvgPool_1a"));
  x = net.dropout(end, x, 0.8f, "Dropout_1b");
  x = net.end_point("PreLogitsFlatten", net.flatten(end, x, "PreLogitsFlatten"));
  return net.finish(scope, net.linear(end, x, params.num_classes, "Logits"));
}

}  // namespace mox::nets
