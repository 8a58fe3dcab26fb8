// What the residual networks share.
#pragma once

#include <string>
#include <vector>

#include "nets/network.h"

namespace mox::nets::resnet {

struct Block {
  int depth;  // of the bottleneck
  int units;
  int stride;
};

// The bottleneck blocks of the ImageNet networks with 50, 101, 152 and 200 layers. TF-slim puts a block's stride into
// its last unit.
std::vector<Block> bottleneck_blocks(const std::string& name);

// Where the families differ, of which people have weights: the same variables, other places for the strides.
enum class Halving {
  kLastUnit,            // TF-slim: the 3x3 convolution of a block's last unit
  kFirstUnit,           // "1.5", torchvision: the 3x3 convolution of the next block's first unit
  kFirstUnitPointwise,  // the paper, Keras: that unit's first 1x1 convolution
};
struct Style {
  Halving halving = Halving::kLastUnit;
  bool even_pool = false;  // the first pooling is padded on both sides, which "SAME" is not
};
// By the network's name: resnet_v15_*, resnet_v1_keras_*, resnet_v2_keras_*; all others are TF-slim's.
Style style_of(const std::string& name);
// The stride of unit `unit` (from 1) of the `number`th block (from 1).
int stride_of(const Style& style, const Block& block, int number, int unit);
// The pooling after the first convolution.
tensorflow::Output first_pool(const Net& net, const Scope& scope, const tensorflow::Output& x);

// TF-slim's resnet_arg_scope.
void set_defaults(Net& net);

std::string unit_name(int unit);  // from 1
// A convolution that is an end point `<variable scope>/name`.
tensorflow::Output conv(Net& net, const Scope& scope, const tensorflow::Output& x, int outputs, int kernel,
                        const std::string& name, int stride, const layers::Conv2dOptions& options);

// Pooling over the image, 1x1 convolution to the logits. `scope` is the network's.
NetworkOutput finish(Net& net, const Scope& scope, const Scope& outer, const tensorflow::Output& x);

}  // namespace mox::nets::resnet
