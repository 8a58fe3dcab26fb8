// The arithmetic of depthwise convolutions, for one thread and one instruction set. convolutions/depthwise.h puts the
// loops together.
//
// All is bound by memory: each loop goes through rows of the output (gradient of the input: of dx) and keeps the rows
// of the image that it needs in the second cache. It takes a few pixels of a row at a time, and all their channels one
// vector after the other, so that memory is read in the order in which it lies.
#pragma once

#include <cstdint>

#include "convolutions/loops.h"

namespace mox::convolutions {

// One square filter a channel, [size, size, channels]; images are [batch, height, width, channels].
struct Depthwise {
  int64_t batch = 0, height = 0, width = 0, channels = 0;  // of the input
  int64_t out_height = 0, out_width = 0;
  int64_t size = 3;    // 3, 5 or 7
  int64_t stride = 1;  // 1 or 2
  int64_t pad_top = 0, pad_left = 0;
};

// A part of a result: rows [begin, end), counted over all images, and channels [first, last).
struct DepthwisePart {
  int64_t begin, end, first, last;
};

// For images of T, float or bfloat16_bits; filters and sums are float32.
template <typename T>
struct DepthwiseLoopsOf {
  // y = clamp(x * filter + bias), rows of y.
  void (*forward)(const Depthwise& d, const T* x, const float* filter, const Epilogue& epilogue, T* y,
                  const DepthwisePart& part);
  // Rows of dx.
  void (*input_gradient)(const Depthwise& d, const float* filter, const T* dy, T* dx, const DepthwisePart& part);
  // Adds to sums [size, size, channels] what rows of dy give.
  void (*filter_gradient)(const Depthwise& d, const T* x, const T* dy, float* sums, const DepthwisePart& part);
};

struct DepthwiseLoops {
  DepthwiseLoopsOf<float> of_float;
  DepthwiseLoopsOf<bfloat16_bits> of_bfloat16;

  template <typename T>
  const DepthwiseLoopsOf<T>& of() const {
    if constexpr (sizeof(T) == sizeof(float))
      return of_float;
    else
      return of_bfloat16;
  }
};

// Of this machine; nullptr where there are none (no AVX2, no x86-64).
const DepthwiseLoops* depthwise_loops();

// Those of an instruction set, which the machine may lack.
const DepthwiseLoops* depthwise_loops_avx512();
const DepthwiseLoops* depthwise_loops_avx2();

}  // namespace mox::convolutions
