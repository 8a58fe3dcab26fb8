// A pass that makes one operation of a grouped convolution on CPUs (convolutions/grouped.h), and of each of its two
// gradients. Layers write it as Split of images and filter, one Conv2D a group and ConcatV2 (layers/layers_conv.cc);
// gradients of these are as many Conv2DBackpropInput and Conv2DBackpropFilter between pieces of the outputs' gradient,
// Slice or SplitV, and ConcatV2.
//
// MOX_FAST_CONVOLUTIONS=0 leaves all as it is, to compare.
#pragma once

#include "moxing/export.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace mox {

// NHWC, float32 and bfloat16. The ConcatV2 becomes the operation; what it read stays, for who fetches it by name.
// Returns how many convolutions and gradients were joined: none on processors without AVX2.
MOX_EXPORT int join_grouped_convolutions(tensorflow::GraphDef* graph);

}  // namespace mox
