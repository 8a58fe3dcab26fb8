// The arithmetic of pooling NHWC images: plain loops over a range of lines, that the compiler makes for several
// instruction sets. They are limited by memory, so each reads its input once.
#pragma once

#include <cstdint>

namespace mox::kernels {

// bfloat16 as its bits.
using bfloat16_bits = uint16_t;

// How windows lie on images [height, width, channels] for results [out_height, out_width, channels]. Each window has at
// least one number of the image. A line is one of any image of the batch: line l of the results is of image
// l / out_height.
struct Pooling {
  int64_t height, width, channels;
  int64_t out_height, out_width;
  int64_t window_height, window_width;
  int64_t stride_down, stride_across;
  int64_t pad_top, pad_left;
};

// Where in its window a maximum was: row * window_width + column; kNowhere: no gradient goes back.
using Place = uint8_t;
constexpr Place kNowhere = 255;
constexpr int64_t kMostPlaces = 255;  // of a window

// Lines [begin, end) of the results: the first maximum of each window, row by row; NaN where it has one, which is at
// one place of it. `places`: as many as results; `positive`: kNowhere where the maximum is not greater than 0, so that
// the gradient is that before a ReLU whose result x is.
void max_pool(const Pooling& p, const float* x, bool positive, float* y, Place* places, int64_t begin, int64_t end);
void max_pool(const Pooling& p, const bfloat16_bits* x, bool positive, bfloat16_bits* y, Place* places, int64_t begin,
              int64_t end);

// Lines [begin, end) of the images: each number of dy goes to its place, those of one place are added.
void max_pool_gradient(const Pooling& p, const float* dy, const Place* places, float* dx, int64_t begin, int64_t end);
void max_pool_gradient(const Pooling& p, const bfloat16_bits* dy, const Place* places, bfloat16_bits* dx, int64_t begin,
                       int64_t end);

// Lines [begin, end) of the images, of the gradient of the means of what of the image is in each window; sums in
// float32. `scratch`: average_pool_scratch(p) numbers.
int64_t average_pool_scratch(const Pooling& p);
void average_pool_gradient(const Pooling& p, const float* dy, float* dx, float* scratch, int64_t begin, int64_t end);
void average_pool_gradient(const Pooling& p, const bfloat16_bits* dy, bfloat16_bits* dx, float* scratch, int64_t begin,
                           int64_t end);

}  // namespace mox::kernels
