// VGG (Simonyan 2014), configurations A, D and E; the _bn ones with batch normalization after each 3x3 convolution.
#include <map>

#include "nets/families.h"

namespace mox::nets {

namespace {

struct Config {
  int repeats[5];  // 3x3 convolutions before each pooling
  bool batch_norm;
};

const Config& config_of(const std::string& name) {
  static const std::map<std::string, Config> kConfigs = {
      {"vgg_a", {{1, 1, 2, 2, 2}, false}},    {"vgg_16", {{2, 2, 3, 3, 3}, false}},
      {"vgg_19", {{2, 2, 4, 4, 4}, false}},   {"vgg_a_bn", {{1, 1, 2, 2, 2}, true}},
      {"vgg_16_bn", {{2, 2, 3, 3, 3}, true}}, {"vgg_19_bn", {{2, 2, 4, 4, 4}, true}},
  };
  return kConfigs.at(name);
}

}  // namespace

NetworkOutput vgg(const Scope& scope, const tensorflow::Output& images, const Params& params) {
  Net net(params);
  const Config& config = config_of(params.name);
  constexpr int kDepths[5] = {64, 128, 256, 512, 512};
  const Scope s = scope.var_scope(params.name);
  if (config.batch_norm) {
    net.batch_norm.scale = true;
    net.batch_norm.decay = net.batch_norm_decay(0.99f);
    net.normalize_convolutions();
    net.conv.weights_initializer = variance_scaling_initializer();
  }
  tensorflow::Output x = images;
  for (int i = 0; i < 5; ++i) {
    const std::string block = "conv" + std::to_string(i + 1), pool = "pool" + std::to_string(i + 1);
    const Scope block_scope = s.var_scope(block);
    for (int j = 0; j < config.repeats[i]; ++j) {
      const std::string name = block + "_" + std::to_string(j + 1);
      x = net.end_point(params.name + "/" + block + "/" + name, net.conv2d(block_scope, x, kDepths[i], 3, name));
    }
    x = net.end_point(params.name + "/" + pool, net.max_pool(s, x, 2, pool));
  }
  net.conv.normalizer = nullptr;  // the dense layers have biases
  return finish_with_head(net, s, x, {.fc6 = 4096, .fc6_kernel = 7, .fc7 = 4096});
}

}  // namespace mox::nets
