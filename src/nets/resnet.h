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

// TF-slim's resnet_arg_scope.
void set_defaults(Net& net);

std::string unit_name(int unit);  // from 1
// A convolution that is an end point `<variable scope>/name`.
tensorflow::Output conv(Net& net, const Scope& scope, const tensorflow::Output& x, int outputs, int kernel,
                        const std::string& name, int stride, const layers::Conv2dOptions& options);

// Pooling over the image, 1x1 convolution to the logits. `scope` is the network's.
NetworkOutput finish(Net& net, const Scope& scope, const Scope& outer, const tensorflow::Output& x);

}  // namespace mox::nets::resnet
