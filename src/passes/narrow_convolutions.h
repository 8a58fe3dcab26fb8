// A pass that makes 16 bit training of small networks as fast as 32 bit.
//
// On CPUs without matrix instructions oneDNN's bfloat16 convolutions of few input channels take two to three times as
// long as its float32 ones: LeNet's second convolution (14x14x32 to 64, 5x5, batch 50, two cores of a Xeon) forward 7.5
// ms and 2.4 ms, gradient of the input 8.8 and 3.1, of the filter 9.2 and 5.5. The pass computes these in float32, with
// the bias that follows; the sums are at least as exact. Where the processor multiplies bfloat16 (AVX512_BF16), only a
// handful of channels is slow; the gradients of filters that passes/fast_convolutions.h gives away stay as they are.
#pragma once

#include "moxing/export.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace mox {

// Returns how many convolutions and gradients of convolutions were rewritten.
MOX_EXPORT int widen_narrow_convolutions(tensorflow::GraphDef* graph);

}  // namespace mox
