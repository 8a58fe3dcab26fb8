// Inception v3 (Szegedy 2015): factorized 7x7 convolutions and an auxiliary classifier.
#include "nets/families.h"
#include "nets/inception.h"

namespace mox::nets {

using namespace inception;  // NOLINT: the blocks' vocabulary

namespace {

constexpr auto kValid = layers::Padding::kValid;

tensorflow::Output stem(Net& net, const Scope& s, const tensorflow::Output& images) {
  auto valid = [](Step each) {
    each.padding = kValid;
    return each;
  };
  tensorflow::Output x = step(net, s, images, reduce(32, "Conv2d_1a_3x3"));
  x = step(net, s, x, valid(conv(32, 3, "Conv2d_2a_3x3")));
  x = step(net, s, x, conv(64, 3, "Conv2d_2b_3x3"));
  x = step(net, s, x, reduce_pool("MaxPool_3a_3x3"));
  x = step(net, s, x, valid(conv(80, 1, "Conv2d_3b_1x1")));
  x = step(net, s, x, valid(conv(192, 3, "Conv2d_4a_3x3")));
  return step(net, s, x, reduce_pool("MaxPool_5a_3x3"));
}

// 35x35. Public checkpoints carry odd names in Mixed_5c's second branch.
std::vector<Branch> block_a(int pool, bool odd_names = false) {
  return {{conv(64, 1, "Conv2d_0a_1x1")},
          {conv(48, 1, odd_names ? "Conv2d_0b_1x1" : "Conv2d_0a_1x1"),
           conv(64, 5, odd_names ? "Conv_1_0c_5x5" : "Conv2d_0b_5x5")},
          {conv(64, 1, "Conv2d_0a_1x1"), conv(96, 3, "Conv2d_0b_3x3"), conv(96, 3, "Conv2d_0c_3x3")},
          {avg_pool(), conv(pool, 1, "Conv2d_0b_1x1")}};
}

// 17x17.
std::vector<Branch> block_b(int depth) {
  return {{conv(192, 1, "Conv2d_0a_1x1")},
          {conv(depth, 1, "Conv2d_0a_1x1"), conv(depth, {1, 7}, "Conv2d_0b_1x7"), conv(192, {7, 1}, "Conv2d_0c_7x1")},
          {conv(depth, 1, "Conv2d_0a_1x1"), conv(depth, {7, 1}, "Conv2d_0b_7x1"), conv(depth, {1, 7}, "Conv2d_0c_1x7"),
           conv(depth, {7, 1}, "Conv2d_0d_7x1"), conv(192, {1, 7}, "Conv2d_0e_1x7")},
          {avg_pool(), conv(192, 1, "Conv2d_0b_1x1")}};
}

// 8x8; the two blocks differ in a name only.
std::vector<Branch> block_c(const char* second_name) {
  return {{conv(320, 1, "Conv2d_0a_1x1")},
          {conv(384, 1, "Conv2d_0a_1x1"), fork({conv(384, {1, 3}, "Conv2d_0b_1x3"), conv(384, {3, 1}, second_name)})},
          {conv(448, 1, "Conv2d_0a_1x1"), conv(384, 3, "Conv2d_0b_3x3"),
           fork({conv(384, {1, 3}, "Conv2d_0c_1x3"), conv(384, {3, 1}, "Conv2d_0d_3x1")})},
          {avg_pool(), conv(192, 1, "Conv2d_0b_1x1")}};
}

std::vector<Branch> reduction_a() {
  return {{reduce(384, "Conv2d_1a_1x1")},
          {conv(64, 1, "Conv2d_0a_1x1"), conv(96, 3, "Conv2d_0b_3x3"), reduce(96, "Conv2d_1a_1x1")},
          {reduce_pool()}};
}

std::vector<Branch> reduction_b() {
  return {{conv(192, 1, "Conv2d_0a_1x1"), reduce(320, "Conv2d_1a_3x3")},
          {conv(192, 1, "Conv2d_0a_1x1"), conv(192, {1, 7}, "Conv2d_0b_1x7"), conv(192, {7, 1}, "Conv2d_0c_7x1"),
           reduce(192, "Conv2d_1a_3x3")},
          {reduce_pool()}};
}

tensorflow::Output auxiliary_logits(const Net& net, const Scope& scope, const tensorflow::Output& features) {
  const Scope s = scope.var_scope("AuxLogits");
  tensorflow::Output x = net.avg_pool(s, features, 5, "AvgPool_1a_5x5", 3, kValid);
  x = net.conv2d(s, x, 128, 1, "Conv2d_1b_1x1");
  const layers::Size2d image = net.image_size(s, x, false);
  const int height = image.height < 0 ? 5 : std::min(5, image.height);
  const int width = image.width < 0 ? 5 : std::min(5, image.width);
  layers::Conv2dOptions whole = net.conv;
  whole.padding = kValid;
  whole.weights_initializer = truncated_normal_initializer(0.01f);
  x = layers::conv2d(s, x, 768, {height, width}, "Conv2d_2a_" + std::to_string(height) + "x" + std::to_string(width),
                     whole);
  layers::Conv2dOptions logits = net.conv;
  logits.activation = nullptr;
  logits.normalizer = nullptr;
  logits.weights_initializer = truncated_normal_initializer(0.001f);
  return net.squeeze_logits(s, layers::conv2d(s, x, net.params().num_classes, 1, "Conv2d_2b_1x1", logits));
}

}  // namespace

NetworkOutput inception_v3(const Scope& scope, const tensorflow::Output& images, const Params& params) {
  Net net(params);
  set_defaults(net);
  const Scope s = scope.var_scope("InceptionV3");
  tensorflow::Output x = stem(net, s, images);
  auto block = [&](const std::string& name, const std::vector<Branch>& branches) {
    x = net.end_point(name, mixed(net, s, x, name, branches));
  };
  block("Mixed_5b", block_a(32));
  block("Mixed_5c", block_a(64, true));
  block("Mixed_5d", block_a(64));
  block("Mixed_6a", reduction_a());
  block("Mixed_6b", block_b(128));
  block("Mixed_6c", block_b(160));
  block("Mixed_6d", block_b(160));
  block("Mixed_6e", block_b(192));
  const tensorflow::Output for_auxiliary = x;
  block("Mixed_7a", reduction_b());
  block("Mixed_7b", block_c("Conv2d_0b_3x1"));
  block("Mixed_7c", block_c("Conv2d_0c_3x1"));
  net.end_point("AuxLogits", auxiliary_logits(net, s, for_auxiliary));
  return finish_with_convolution(net, s, scope, x,
                                 {.pool = 8,
                                  .scope_pool = "AvgPool_1a_8x8",
                                  .scope_dropout = "Dropout_1b",
                                  .convolution = "Conv2d_1c_1x1",
                                  .pool_end_point = "AvgPool_1a",
                                  .dropped_end_point = "PreLogits"});
}

}  // namespace mox::nets
