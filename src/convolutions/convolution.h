// Convolutions of NHWC images for CPUs, where oneDNN is slower: 3x3 and 5x5 filters with stride 1 by Winograd's
// transforms, 1x1 filters, and gradients of filters and of inputs with a stride as products of matrices.
// kernels/convolution_ops.cc makes operations of them; passes/fast_convolutions.h puts these in.
//
// Each number is the same whatever the threads: who computes it changes, the order of its sums does not.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>

#include "convolutions/loops.h"
#include "convolutions/rows.h"

namespace mox::convolutions {

struct Convolution {
  int64_t batch = 0, height = 0, width = 0, channels = 0;  // of the input
  int64_t out_height = 0, out_width = 0, filters = 0;
  int64_t filter_height = 1, filter_width = 1;
  int64_t stride = 1;
  int64_t pad_top = 0, pad_left = 0;
};

enum class Direction { kForward, kInputGradient, kFilterGradient };

// What RowsDone is called with, for what convolve and gradient_of_input give.
RowParts parts_of_output(const Convolution& c);
RowParts parts_of_input(const Convolution& c);

// Whether the functions below compute it on this processor, faster than oneDNN does: 3x3 and 5x5 filters with stride 1
// where channels and filters are multiples of kLanes, with bfloat16 images only their gradients by the filter; filters
// of images of four channels at most and their gradients, a multiple of kLanes; 1x1 filters, and gradients of inputs
// with a larger stride of any filter, of kLanes channels and filters at least; and all gradients by filters, a multiple
// of kLanes or 20 to 256, whose rows are long enough. With bfloat16 images where the processor multiplies bfloat16.
bool is_fast(Direction direction, const Convolution& convolution, bool float32);

// Whether an image may be padded so: by less than the filter on each side, so that all windows meet the image.
inline bool takes_paddings(const Convolution& c, int64_t top, int64_t bottom, int64_t left, int64_t right) {
  return std::max(top, bottom) < c.filter_height && std::max(left, right) < c.filter_width;
}

// What a computation runs on.
struct Resources {
  const ConvolutionLoops& loops;
  int64_t threads;
  // Calls work(0) to work(parts - 1), several at once, and returns when all are done.
  std::function<void(int64_t parts, const std::function<void(int64_t)>& work)> run;
  // So many floats, aligned for vectors, that live until the computation is done.
  std::function<float*(int64_t count)> scratch;
};

// kPointwise: of 1x1 filters; kFewChannels: of images of a few; the others are of float32 alone.
enum class Algorithm { kDirect, kWinograd, kPointwise, kFewChannels };

// The faster one; `is_packed`: the filter is packed once for many calls.
Algorithm algorithm_of(const Convolution& convolution, bool is_packed, bool float32 = true);

// A filter [height, width, channels, filters] as an algorithm reads it, and how many floats that takes.
int64_t packed_size(const Convolution& convolution, Algorithm algorithm, const Resources& resources,
                    bool float32 = true);
// T: float or bfloat16_bits, here and below; sums are float32.
template <typename T>
void pack(const Convolution& convolution, Algorithm algorithm, const T* filter, float* packed,
          const Resources& resources);

// Whether convolve and gradient_of_filter take a Prologue: 1x1 filters with stride 1.
bool takes_prologue(const Convolution& convolution);

// Whether convolve tells of rows while they are in the cache: of 1x1 filters, and of images of few channels.
bool tells_rows_of_output(const Convolution& convolution);

// Whether gradient_of_input tells of rows while they are in the cache, and dx may be null, its rows only shown: all
// that is not Winograd's.
bool tells_rows(const Convolution& convolution);

// Whether what is added at the side may be y itself.
inline bool adds_in_place(Algorithm algorithm) {
  return algorithm == Algorithm::kWinograd || algorithm == Algorithm::kPointwise;
}

// y = clamp(x * filter + bias + side).
template <typename T>
void convolve(const Convolution& convolution, Algorithm algorithm, const T* x, const Prologue& prologue,
              const float* packed, const Epilogue& epilogue, T* y, const RowsDone& done, const Resources& resources);

// What is added to some pixels of images [batch, height, width, channels], those whose line and column are multiples of
// `stride`: [batch, ceil(height / stride), ceil(width / stride), channels] of the images' type. Null: nothing.
struct StridedSide {
  const void* side = nullptr;
  int64_t stride = 1;
};

// Filters are [height, width, channels, filters]. dx: see tells_rows. `side`: of 1x1 filters with stride 1, added
// before dx is rounded.
template <typename T>
void gradient_of_input(const Convolution& convolution, const T* filter, const T* dy, T* dx, const RowsDone& done,
                       const Resources& resources, const StridedSide& side = {});

// What the gradient of the input of a convolution with 1x1 filters is but for the pixels between those that a stride
// reads, where it is 0: that of one with stride 1, whose input is [batch, out_height, out_width, channels].
Convolution without_stride(const Convolution& convolution);

template <typename T>
void gradient_of_filter(const Convolution& convolution, const T* x, const Prologue& prologue, const T* dy,
                        float* dfilter, const Resources& resources);

}  // namespace mox::convolutions
