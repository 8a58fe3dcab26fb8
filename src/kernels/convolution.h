// Convolutions of NHWC images in float32 for CPUs: 3x3 filters with stride 1 by Winograd's transforms, 1x1 filters as
// products of matrices. kernels/convolution_ops.cc makes operations of them; passes/fast_convolutions.h puts these in.
//
// Each number is the same whatever the threads: who computes it changes, the order of its sums does not.
#pragma once

#include <cstdint>
#include <functional>

#include "kernels/convolution_loops.h"

namespace mox::kernels {

struct Convolution {
  int64_t batch = 0, height = 0, width = 0, channels = 0;  // of the input
  int64_t out_height = 0, out_width = 0, filters = 0;
  int64_t filter_size = 1;  // or 3
  int64_t stride = 1;
  int64_t pad_top = 0, pad_left = 0;
};

// Whether the functions below compute it: filters and channels are multiples of kLanes, and it is 3x3 with stride 1, or, with float32
// images, 1x1.
bool is_fast(int64_t filter_size, int64_t stride, int64_t channels, int64_t filters, bool float32);

// What a computation runs on.
struct Resources {
  const ConvolutionLoops& loops;
  int64_t threads;
  // Calls work(0) to work(parts - 1), several at once, and returns when all are done.
  std::function<void(int64_t parts, const std::function<void(int64_t)>& work)> run;
  // So many floats, aligned for vectors, that live until the computation is done.
  std::function<float*(int64_t count)> scratch;
};

// T: float or bfloat16_bits, of images; sums are float32. Filters: float [size, size, channels, filters].

// y = clamp(x * filter + bias).
template <typename T>
void convolve(const Convolution& convolution, const T* x, const float* filter, const Epilogue& epilogue, T* y, const Resources& resources);

template <typename T>
void gradient_of_input(const Convolution& convolution, const float* filter, const T* dy, T* dx, const Resources& resources);

template <typename T>
void gradient_of_filter(const Convolution& convolution, const T* x, const T* dy, float* dfilter, const Resources& resources);

}  // namespace mox::kernels
