// A pass that makes 16 bit training of networks with strided depthwise convolutions faster.
//
// oneDNN has no fast bfloat16 kernel for the gradients of a depthwise convolution with a stride: they take six to ten
// times as long as in float32. The pass computes these in float32, between casts; the sums are at least as exact.
#pragma once

#include "moxing/export.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace mox {

// Returns how many gradients were rewritten.
MOX_EXPORT int widen_depthwise_gradients(tensorflow::GraphDef* graph);

}  // namespace mox
