// A pass that gives convolutions on CPUs, and gradients of convolutions, to our own kernels where these are faster than
// oneDNN's (convolutions/convolution.h): 3x3 and 5x5 filters with stride 1 in float32, 1x1 filters, the gradients of
// all filters and those of inputs with a larger stride; in bfloat16 the same but for 3x3 and 5x5 filters with stride 1,
// of which only their gradients; depthwise convolutions and their gradients (convolutions/depthwise.h). Their padding
// is SAME, VALID or, but of depthwise ones, EXPLICIT. docs/benchmarks.md has the figures.
//
// A bias and a ReLU that follow are computed with the convolution, and where nothing but a cast to float32 reads the
// gradient of a bfloat16 filter, it leaves as the sums in float32 that it is. MOX_FAST_CONVOLUTIONS=0 leaves all to
// oneDNN, to compare.
#pragma once

#include "graph/node_defs.h"
#include "moxing/export.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace mox {

// Whether the pass will give this node away.
bool becomes_fast(const NodeIndex& index, const tensorflow::NodeDef& node);

// Returns how many convolutions and gradients of convolutions were given away: none on processors without AVX2.
MOX_EXPORT int make_convolutions_fast(tensorflow::GraphDef* graph);

}  // namespace mox
