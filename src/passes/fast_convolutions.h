// A pass that gives 3x3 and 1x1 convolutions on CPUs, and their gradients, to our own kernels.
//
// oneDNN multiplies as often as a convolution's definition says. Winograd's algorithm (convolutions/loops.h)
// multiplies a quarter as often for 3x3 filters with stride 1; 1x1 filters are products of matrices, whose gradients
// oneDNN's convolutions compute at half the processor's speed. On two cores with AVX-512, batch 16, float32,
// milliseconds of oneDNN and of these, forward, gradient of the input, of the filter: 56x56x64 3x3 9.0, 8.9, 11.7
// and 4.1, 4.2, 5.1; 7x7x512 3x3 9.6, 10.8, 10.6 and 5.3, 6.5, 4.6; 14x14x1024 to 256 1x1 4.7, 4.8, 5.9
// and 4.2, 3.9, 4.8.
//
// In bfloat16 only the 3x3 ones, whose sums are then float32 throughout. A bias and a ReLU that follow are computed
// with the convolution. MOX_FAST_CONVOLUTIONS=0 leaves all to oneDNN.
#pragma once

#include "moxing/export.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace mox {

// Returns how many convolutions and gradients of convolutions were given away: none on processors without AVX2.
MOX_EXPORT int make_convolutions_fast(tensorflow::GraphDef* graph);

}  // namespace mox
