// Inception v2 (Ioffe 2015): 5x5 convolutions as two 3x3, the first layer separable.
#include "nets/families.h"
#include "nets/inception.h"

namespace mox::nets {

using namespace inception;  // NOLINT: the blocks' vocabulary

namespace {

constexpr auto kSame = layers::Padding::kSame;
constexpr float kNarrow = 0.09f, kPool = 0.1f;  // deviations of the 1x1 convolutions' weights

// 1x1 | 1x1, 3x3 | 1x1, 3x3, 3x3 | pooling, 1x1.
struct Row {
  const char* name;
  int b0, b1a, b1b, b2a, b2b, b3;
  bool max = false;
};

constexpr Row kThird[] = {{"Mixed_3b", 64, 64, 64, 64, 96, 32}, {"Mixed_3c", 64, 64, 96, 64, 96, 64}};
constexpr Row kFourth[] = {{"Mixed_4b", 224, 64, 96, 96, 128, 128},
                           {"Mixed_4c", 192, 96, 128, 96, 128, 128},
                           {"Mixed_4d", 160, 128, 160, 128, 160, 96},
                           {"Mixed_4e", 96, 128, 192, 160, 192, 96}};
constexpr Row kFifth[] = {{"Mixed_5b", 352, 192, 320, 160, 224, 128}, {"Mixed_5c", 352, 192, 320, 192, 224, 128, true}};

tensorflow::Output block(Net& net, const Scope& s, const tensorflow::Output& x, const Row& row) {
  return net.end_point(row.name, mixed(net, s, x, row.name,
                                       {{conv(row.b0, 1, "Conv2d_0a_1x1")},
                                        {conv(row.b1a, 1, "Conv2d_0a_1x1", kNarrow), conv(row.b1b, 3, "Conv2d_0b_3x3")},
                                        {conv(row.b2a, 1, "Conv2d_0a_1x1", kNarrow), conv(row.b2b, 3, "Conv2d_0b_3x3"),
                                         conv(row.b2b, 3, "Conv2d_0c_3x3")},
                                        {row.max ? max_pool() : avg_pool(), conv(row.b3, 1, "Conv2d_0b_1x1", kPool)}}));
}

// Halves the image: 1x1, 3x3/2 | 1x1, 3x3, 3x3/2 | pooling.
tensorflow::Output reduction(Net& net, const Scope& s, const tensorflow::Output& x, const std::string& name, int b0a,
                             int b0b, int b1a, int b1b) {
  return net.end_point(name, mixed(net, s, x, name,
                                   {{conv(b0a, 1, "Conv2d_0a_1x1", kNarrow), reduce(b0b, "Conv2d_1a_3x3", kSame)},
                                    {conv(b1a, 1, "Conv2d_0a_1x1", kNarrow), conv(b1b, 3, "Conv2d_0b_3x3"),
                                     reduce(b1b, "Conv2d_1a_3x3", kSame)},
                                    {reduce_pool("MaxPool_1a_3x3", kSame)}}));
}

}  // namespace

NetworkOutput inception_v2(const Scope& scope, const tensorflow::Output& images, const Params& params) {
  Net net(params);
  set_defaults(net);
  const Scope s = scope.var_scope("InceptionV2");
  layers::SeparableConv2dOptions first = net.separable;
  first.depth_multiplier = 8;
  first.stride = 2;
  first.weight_decay = 0;
  first.weights_initializer = truncated_normal_initializer(1.0f);
  tensorflow::Output x = layers::separable_conv2d(s, images, 64, 7, "Conv2d_1a_7x7", first);
  net.end_point("Conv2d_1a_7x7", x);
  x = step(net, s, x, reduce_pool("MaxPool_2a_3x3", kSame));
  x = step(net, s, x, conv(64, 1, "Conv2d_2b_1x1", kPool));
  x = step(net, s, x, conv(192, 3, "Conv2d_2c_3x3"));
  x = step(net, s, x, reduce_pool("MaxPool_3a_3x3", kSame));
  for (const Row& row : kThird) x = block(net, s, x, row);
  x = reduction(net, s, x, "Mixed_4a", 128, 160, 64, 96);
  for (const Row& row : kFourth) x = block(net, s, x, row);
  x = reduction(net, s, x, "Mixed_5a", 128, 192, 192, 256);
  for (const Row& row : kFifth) x = block(net, s, x, row);
  return finish_with_convolution(net, s, scope, x,
                                 {.pool = 7,
                                  .scope_pool = "AvgPool_1a_7x7",
                                  .scope_dropout = "Dropout_1b",
                                  .convolution = "Conv2d_1c_1x1",
                                  .pool_end_point = "AvgPool_1a",
                                  .dropped_end_point = "PreLogits"});
}

}  // namespace mox::nets
