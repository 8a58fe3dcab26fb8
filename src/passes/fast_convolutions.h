// A pass that gives convolutions on CPUs, and gradients of convolutions, to our own kernels where these are faster than
// oneDNN's (convolutions/convolution.h): 3x3 filters with stride 1 and the gradients of all filters in float32, in
// bfloat16 the gradients of filters. docs/benchmarks.md has the figures.
//
// A bias and a ReLU that follow are computed with the convolution. MOX_FAST_CONVOLUTIONS=0 leaves all to oneDNN, to
// compare.
#pragma once

#include "moxing/export.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace mox {

// Returns how many convolutions and gradients of convolutions were given away: none on processors without AVX2.
MOX_EXPORT int make_convolutions_fast(tensorflow::GraphDef* graph);

}  // namespace mox
