// The arithmetic of batch norm on a matrix [rows, channels] (an NHWC image batch): plain loops over a range of rows,
// that the compiler makes for several instruction sets. They are limited by memory, so each reads its input once.
#pragma once

#include <cstdint>

#include "kernels/clamp.h"

namespace mox::kernels {

// bfloat16 as its bits.
using bfloat16_bits = uint16_t;

// Adds rows [begin, end) to the mean and the sum of squared deviations of the `*total` rows so far, a channel: blocks
// that stay in the cache, joined pairwise (Chan, Golub, LeVeque 1979), each with its deviations from about the mean, so
// that a large mean costs no digits. `scratch`: 3 * channels.
void add_moments(const float* x, int64_t begin, int64_t end, int64_t channels, int64_t* total, float* mean,
                 float* squares, float* scratch);
void add_moments(const bfloat16_bits* x, int64_t begin, int64_t end, int64_t channels, int64_t* total, float* mean,
                 float* squares, float* scratch);

// Adds the moments of `count` more rows to those of `*total` rows.
void join_moments(int64_t channels, int64_t count, const float* mean, const float* squares, int64_t* total,
                  float* total_mean, float* total_squares);

// y = clamp(x * scale + shift + side); `side` may be null.
template <typename T>
struct Normalization {
  int64_t channels;
  const T *x, *side;
  const float *scale, *shift;
  Clamp clamp;
  T* y;
};
void normalize(const Normalization<float>& n, int64_t begin, int64_t end);
void normalize(const Normalization<bfloat16_bits>& n, int64_t begin, int64_t end);

// The gradient in two passes. g, the gradient before the clamp, is the sum of dy (one or two), 0 where y was clamped;
// y is computed again from x unless it is given (it must be when something was added at the side).
template <typename T>
struct NormalizationGradient {
  int64_t channels;
  const T *dy, *more_dy;  // more_dy may be null
  const T *x, *y;         // y may be null
  const float *scale, *shift, *mean;
  Clamp clamp;
  T* g;  // kept when not null: the gradient of the side
  T* dx;

  // Row 0 of it is this one's row `row`; what arrives for it, dy, begins with that row already.
  NormalizationGradient from_row(int64_t row, const T* arrived) const {
    NormalizationGradient n = *this;
    n.dy = arrived;
    for (const T** p : {&n.more_dy, &n.x, &n.y})
      if (*p) *p += row * channels;
    for (T** p : {&n.g, &n.dx})
      if (*p) *p += row * channels;
    return n;
  }
};
// Adds the sums over rows of g and g * (x - mean).
void gradient_sums(const NormalizationGradient<float>& n, int64_t begin, int64_t end, float* sum_g, float* sum_gx);
void gradient_sums(const NormalizationGradient<bfloat16_bits>& n, int64_t begin, int64_t end, float* sum_g,
                   float* sum_gx);
// dx = of_g * g + of_x * x + constant, each a vector of channels.
void input_gradient(const NormalizationGradient<float>& n, int64_t begin, int64_t end, const float* of_g,
                    const float* of_x, const float* constant);
void input_gradient(const NormalizationGradient<bfloat16_bits>& n, int64_t begin, int64_t end, const float* of_g,
                    const float* of_x, const float* constant);

}  // namespace mox::kernels
