// Grouped convolutions of NHWC images for CPUs: channels and filters lie in groups side by side, each group of filters
// sees its own group of channels. oneDNN has no gradients of them, and one convolution a group leaves most of a vector
// idle where groups are small. kernels/grouped_convolution_ops.cc makes operations of them;
// passes/grouped_convolutions.h puts these in.
//
// Images are float32 or bfloat16; filters and all sums are float32. Filters are [height, width, channels / groups,
// filters], as TensorFlow has them. Each number is the same whatever the threads.
#pragma once

#include <cstdint>

#include "convolutions/convolution.h"

namespace mox::convolutions {

// Whether the functions below compute it on this processor: as many filters as channels, a multiple of kLanes, 4, 8, 16
// or 32 in a group. Larger groups fill oneDNN's vectors, too.
bool is_fast_grouped(const Convolution& convolution, int64_t groups);

// y = x * filter. T: float or bfloat16_bits, to which sums are rounded.
template <typename T>
void convolve_groups(const Convolution& convolution, int64_t groups, const T* x, const float* filter, T* y,
                     const Resources& resources);

template <typename T>
void gradient_of_grouped_input(const Convolution& convolution, int64_t groups, const float* filter, const T* dy, T* dx,
                               const Resources& resources);

template <typename T>
void gradient_of_grouped_filter(const Convolution& convolution, int64_t groups, const T* x, const T* dy, float* dfilter,
                                const Resources& resources);

}  // namespace mox::convolutions
