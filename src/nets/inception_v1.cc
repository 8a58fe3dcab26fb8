// Inception v1, GoogLeNet (Szegedy 2014), with batch normalization.
#include "nets/families.h"
#include "nets/inception.h"

namespace mox::nets {

using namespace inception;  // NOLINT: the blocks' vocabulary

namespace {

// 1x1 | 1x1, 3x3 | 1x1, 3x3 | pooling, 1x1.
struct Row {
  const char* name;
  int b0, b1a, b1b, b2a, b2b, b3;
  const char* b2b_name = "Conv2d_0b_3x3";
};

constexpr Row kThird[] = {{"Mixed_3b", 64, 96, 128, 16, 32, 32}, {"Mixed_3c", 128, 128, 192, 32, 96, 64}};
constexpr Row kFourth[] = {{"Mixed_4b", 192, 96, 208, 16, 48, 64},
                           {"Mixed_4c", 160, 112, 224, 24, 64, 64},
                           {"Mixed_4d", 128, 128, 256, 24, 64, 64},
                           {"Mixed_4e", 112, 144, 288, 32, 64, 64},
                           {"Mixed_4f", 256, 160, 320, 32, 128, 128}};
// Public checkpoints carry the odd name in Mixed_5b.
constexpr Row kFifth[] = {{"Mixed_5b", 256, 160, 320, 32, 128, 128, "Conv2d_0a_3x3"},
                          {"Mixed_5c", 384, 192, 384, 48, 128, 128}};

tensorflow::Output block(Net& net, const Scope& s, const tensorflow::Output& x, const Row& row) {
  return net.end_point(row.name, mixed(net, s, x, row.name,
                                       {{conv(row.b0, 1, "Conv2d_0a_1x1")},
                                        {conv(row.b1a, 1, "Conv2d_0a_1x1"), conv(row.b1b, 3, "Conv2d_0b_3x3")},
                                        {conv(row.b2a, 1, "Conv2d_0a_1x1"), conv(row.b2b, 3, row.b2b_name)},
                                        {max_pool(), conv(row.b3, 1, "Conv2d_0b_1x1")}}));
}

}  // namespace

NetworkOutput inception_v1(const Scope& scope, const tensorflow::Output& images, const Params& params) {
  constexpr auto kSame = layers::Padding::kSame;
  Net net(params);
  set_defaults(net);
  net.conv.weights_initializer = truncated_normal_initializer(0.01f);
  const Scope s = scope.var_scope("InceptionV1");
  tensorflow::Output x = net.end_point("Conv2d_1a_7x7", net.conv2d(s, images, 64, 7, "Conv2d_1a_7x7", 2));
  x = step(net, s, x, reduce_pool("MaxPool_2a_3x3", kSame));
  x = step(net, s, x, conv(64, 1, "Conv2d_2b_1x1"));
  x = step(net, s, x, conv(192, 3, "Conv2d_2c_3x3"));
  x = step(net, s, x, reduce_pool("MaxPool_3a_3x3", kSame));
  for (const Row& row : kThird) x = block(net, s, x, row);
  x = step(net, s, x, reduce_pool("MaxPool_4a_3x3", kSame));
  for (const Row& row : kFourth) x = block(net, s, x, row);
  x = net.end_point("MaxPool_5a_2x2", net.max_pool(s, x, 2, "MaxPool_5a_2x2", 2, kSame));
  for (const Row& row : kFifth) x = block(net, s, x, row);
  net.conv.weights_initializer = variance_scaling_initializer();
  return finish_with_convolution(net, s, scope, x,
                                 {.pool = 7,
                                  .scope_pool = "AvgPool_0a_7x7",
                                  .scope_dropout = "Dropout_0b",
                                  .convolution = "Conv2d_0c_1x1",
                                  .pool_end_point = "AvgPool_0a_7x7"});
}

}  // namespace mox::nets
