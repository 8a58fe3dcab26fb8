// Depthwise convolutions of NHWC images for CPUs and their gradients, where oneDNN's and TensorFlow's are
// slower. kernels/depthwise_ops.cc makes operations of them; passes/fast_depthwise.h puts these in.
//
// Each number is the same whatever the threads, as in convolutions/convolution.h.
#pragma once

#include "convolutions/convolution.h"
#include "convolutions/depthwise_loops.h"

namespace mox::convolutions {

// Whether the functions below compute it: filters of 3x3, 5x5 and 7x7 with stride 1 or 2, any number of channels.
bool is_fast(const Depthwise& depthwise);

// What RowsDone is called with: whole lines of images.
inline RowParts parts_of_output(const Depthwise& d) {
  return RowParts(d.batch * d.out_height * d.out_width, d.out_width);
}
inline RowParts parts_of_input(const Depthwise& d) { return RowParts(d.batch * d.height * d.width, d.width); }

// Images of T, float or bfloat16_bits; filters are [size, size, channels]. y = clamp(x * filter + bias). dx may be
// null: its rows are only shown to `done`.
template <typename T>
void depthwise(const Depthwise& d, const T* x, const Prologue& prologue, const float* filter, const Epilogue& epilogue,
               T* y, const RowsDone& done, const DepthwiseLoops& loops, const Resources& on);
template <typename T>
void depthwise_input_gradient(const Depthwise& d, const float* filter, const T* dy, T* dx, const RowsDone& done,
                              const DepthwiseLoops& loops, const Resources& on);
template <typename T>
void depthwise_filter_gradient(const Depthwise& d, const T* x, const Prologue& prologue, const T* dy, float* dfilter,
                               const DepthwiseLoops& loops, const Resources& on);

}  // namespace mox::convolutions
