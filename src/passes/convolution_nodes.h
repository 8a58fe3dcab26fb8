// What passes that replace Conv2D and its gradients ask of such a node.
#pragma once

#include <cstdint>

#include "tensorflow/core/framework/node_def.pb.h"

namespace mox {

// The variable of the environment with which all convolutions stay TensorFlow's.
constexpr char kFastConvolutionsSwitch[] = "MOX_FAST_CONVOLUTIONS";

// The one stride of both sides; 0 where they differ, or where batch and channels have one.
int64_t stride_of(const tensorflow::NodeDef& node);

bool is_nhwc(const tensorflow::NodeDef& node);

// NHWC, no dilation, padding SAME or VALID.
bool is_plain_convolution(const tensorflow::NodeDef& node);

}  // namespace mox
