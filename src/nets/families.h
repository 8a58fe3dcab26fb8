// One function a network or a family; the table in builtin.cc gives them their names, and they find their size by it.
#pragma once

#include "nets/network.h"

namespace mox::nets {

using BuildFn = NetworkOutput(const Scope& scope, const tensorflow::Output& images, const Params& params);

BuildFn alexnet_v2, cifarnet, lenet, overfeat, vgg;
BuildFn inception_v1, inception_v2, inception_v3, inception_v4, inception_resnet_v2;
BuildFn resnet_v1, resnet_v1_basic, resnet_v1_cifar, resnet_v2, resnext;
BuildFn mobilenet_v1, mobilenet_v2, nasnet_family, pvanet;

}  // namespace mox::nets
