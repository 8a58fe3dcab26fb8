// Inception blocks as data: branches of steps, joined along the channels.
#pragma once

#include <string>
#include <vector>

#include "nets/network.h"

namespace mox::nets::inception {

struct Step {
  enum Kind { kConv, kMaxPool, kAvgPool, kFork } kind = kConv;
  int outputs = 0;
  layers::KernelSize kernel = 1;
  std::string name = {};
  int stride = 1;
  layers::Padding padding = layers::Padding::kSame;
  float stddev = 0;              // > 0: weights from a truncated normal instead of the network's default
  std::vector<Step> forks = {};  // kFork: each on the same input, results joined
};
using Branch = std::vector<Step>;

Step conv(int outputs, layers::KernelSize kernel, const std::string& name, float stddev = 0);
// Stride 2, "VALID" unless told: halves the image.
Step reduce(int outputs, const std::string& name, layers::Padding padding = layers::Padding::kValid);
Step max_pool(const std::string& name = "MaxPool_0a_3x3");
Step reduce_pool(const std::string& name = "MaxPool_1a_3x3", layers::Padding padding = layers::Padding::kValid);
Step avg_pool();
Step fork(std::vector<Step> forks);

// Variables `name/Branch_0/…`; not yet an end point.
tensorflow::Output mixed(const Net& net, const Scope& scope, const tensorflow::Output& x, const std::string& name,
                         const std::vector<Branch>& branches);
// A step outside of blocks; its name is its end point.
tensorflow::Output step(Net& net, const Scope& scope, const tensorflow::Output& x, const Step& step);

// TF-slim's inception_arg_scope.
void set_defaults(Net& net);

// Pooling over a window of `pool`, dropout, 1x1 convolution to the logits. `pool_name` and `dropped_name` are end
// points where not empty; `convolution` names the last layer.
struct Ending {
  int pool = 7;
  float keep_prob = 0.8f;
  std::string scope_pool = {}, scope_dropout = {}, convolution = {};
  std::string pool_end_point = {}, dropped_end_point = {};
};
NetworkOutput finish_with_convolution(Net& net, const Scope& scope, const Scope& outer, const tensorflow::Output& x,
                                      const Ending& ending);

// The auxiliary classifier of v4 and Inception-ResNet: 5x5 pooling, 1x1 to 128, the whole image to 768, dense.
struct AuxiliaryNames {
  std::string pool = {}, projection = {}, whole = {}, logits = {};
};
tensorflow::Output auxiliary_classifier(const Net& net, const Scope& scope, const tensorflow::Output& features,
                                        const AuxiliaryNames& names);

}  // namespace mox::nets::inception
