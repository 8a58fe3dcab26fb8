// What passes that replace Conv2D and its gradients ask of such a node.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "graph/node_defs.h"
#include "tensorflow/core/framework/node_def.pb.h"

namespace mox {

// The variable of the environment with which all convolutions stay TensorFlow's.
constexpr char kFastConvolutionsSwitch[] = "MOX_FAST_CONVOLUTIONS";

// The one stride of both sides; 0 where they differ, or where batch and channels have one.
int64_t stride_of(const tensorflow::NodeDef& node);

bool is_nhwc(const tensorflow::NodeDef& node);

// NHWC, no dilation; of any padding.
bool is_plain_but_for_paddings(const tensorflow::NodeDef& node);
// And padding SAME or VALID.
bool is_plain_convolution(const tensorflow::NodeDef& node);

// Of padding EXPLICIT, of height and width alone, none negative; else nullopt.
struct ExplicitPaddings {
  int64_t top, bottom, left, right;
};
std::optional<ExplicitPaddings> explicit_paddings_of(const tensorflow::NodeDef& node);
// EXPLICIT, or VALID where there are none.
void set_paddings(const ExplicitPaddings& paddings, tensorflow::NodeDef* node);

// The numbers of a Const of int32 or int64; nullopt: of another node, or of none.
std::optional<std::vector<int64_t>> int_constants(const tensorflow::NodeDef* node);

// The channels of an image, as far as it is seen without looking at all shapes of the graph; -1: not seen. TensorFlow's
// convolution of an image with n times the filter's channels is one of n groups.
int64_t channels_of(const NodeIndex& index, const std::string& image);

}  // namespace mox
