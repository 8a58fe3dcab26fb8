#include "kernels/batch_norm_loops.h"

#include <algorithm>

#include "base/for_each_cpu.h"
#include "kernels/numbers.h"

// Compiled with -O3 (src/CMakeLists.txt): the loops over channels become vector instructions of each set.

namespace mox::kernels {
namespace {

MOX_INLINE float clamped(float v, Clamp clamp) {
  v = v < clamp.floor ? clamp.floor : v;  // in this order a NaN passes
  return v > clamp.ceiling ? clamp.ceiling : v;
}

constexpr int64_t kBlockBytes = 64 * 1024;

template <typename T>
int64_t block_rows(int64_t channels) {
  return std::clamp<int64_t>(kBlockBytes / static_cast<int64_t>(channels * sizeof(T)), 4, 512);
}

// Rows that are summed before the sums of their channels are read and written; of two images as many in all.
constexpr int64_t kRowsAtOnce = 8, kRowsOfTwo = 4;

template <typename T, int64_t kRows>
MOX_INLINE void sum_rows(const T* __restrict x, int64_t channels, const float* __restrict near, float* __restrict sums,
                         float* __restrict squares, float* __restrict deviations) {
  for (int64_t c = 0; c < channels; ++c) {
    float sum = 0, square = 0, deviation = 0;
#pragma GCC unroll 8
    for (int64_t k = 0; k < kRows; ++k) {
      const float v = load(x + k * channels + c), d = v - near[c];
      sum += v;
      square += d * d;
      deviation += d;
    }
    sums[c] += sum;
    squares[c] += square;
    deviations[c] += deviation;
  }
}

// Mean and sum of squared deviations, by those from `near`. A mean near 0 keeps its digits, as well: it is of the
// numbers themselves. `scratch`: channels.
template <typename T>
MOX_INLINE void block_moments(const T* __restrict x, int64_t rows, int64_t channels, const float* __restrict near,
                              float* __restrict mean, float* __restrict squares, float* __restrict scratch) {
  for (float* sums : {mean, squares, scratch}) std::fill_n(sums, channels, 0.f);
  int64_t r = 0;
  for (; r + kRowsAtOnce <= rows; r += kRowsAtOnce)
    sum_rows<T, kRowsAtOnce>(x + r * channels, channels, near, mean, squares, scratch);
  for (; r < rows; ++r) sum_rows<T, 1>(x + r * channels, channels, near, mean, squares, scratch);
  const float share = 1.f / static_cast<float>(rows);
  for (int64_t c = 0; c < channels; ++c) {
    mean[c] *= share;
    const float square = squares[c] - scratch[c] * scratch[c] * share;
    squares[c] = square < 0 ? 0 : square;  // in this order a NaN passes
  }
}

template <typename T>
MOX_INLINE void add_range(const T* x, int64_t begin, int64_t end, int64_t channels, int64_t* total, float* mean,
                          float* squares, float* scratch) {
  const int64_t block = block_rows<T>(channels);
  for (int64_t r = begin; r < end; r += block) {
    const int64_t rows = std::min(block, end - r);
    if (*total == 0) {  // near what follows, more or less
      std::fill_n(squares, channels, 0.f);
      for (int64_t c = 0; c < channels; ++c) mean[c] = load(x + r * channels + c);
    }
    block_moments(x + r * channels, rows, channels, mean, scratch, scratch + channels, scratch + 2 * channels);
    if (*total == 0) std::fill_n(mean, channels, 0.f);
    join_moments(channels, rows, scratch, scratch + channels, total, mean, squares);
  }
}

template <typename T, bool kSide>
MOX_INLINE void normalize_rows(const Normalization<T>& n, int64_t begin, int64_t end) {
  const T* __restrict x = n.x, *side = n.side;
  const float* __restrict scale = n.scale, * __restrict shift = n.shift;
  T* y = n.y;  // may be side's memory: each place is read before it is written
  const Clamp clamp = n.clamp;
  const int64_t channels = n.channels;
  for (int64_t r = begin * channels; r < end * channels; r += channels) {
#pragma GCC ivdep
    for (int64_t c = 0; c < channels; ++c) {
      float v = load(x + r + c) * scale[c] + shift[c];
      if constexpr (kSide) v += load(side + r + c);
      store(y + r + c, clamped(v, clamp));
    }
  }
}

template <typename T>
MOX_INLINE void normalize_any(const Normalization<T>& n, int64_t begin, int64_t end) {
  if (n.side)
    normalize_rows<T, true>(n, begin, end);
  else
    normalize_rows<T, false>(n, begin, end);
}

// What says where y was clamped.
enum class MaskOf { kNothing, kX, kY };

MOX_INLINE bool clamps(Clamp clamp) { return clamp.floor != -__builtin_inff() || clamp.ceiling != __builtin_inff(); }

// g at one place.
template <typename T, bool kTwo, MaskOf kMask>
MOX_INLINE float masked(const T* dy, const T* more_dy, const T* x, const T* y, float scale, float shift, Clamp clamp) {
  float g = load(dy);
  if constexpr (kTwo) g += load(more_dy);
  if constexpr (kMask == MaskOf::kNothing) return g;
  float v;
  if constexpr (kMask == MaskOf::kY)
    v = load(y);
  else
    v = load(x) * scale + shift;
  return ((v > clamp.floor) & (v < clamp.ceiling)) ? g : 0.f;
}

template <typename T, bool kTwo, MaskOf kMask, bool kKeep, int64_t kRows>
MOX_INLINE void sums_of_some(const NormalizationGradient<T>& n, int64_t row, float* __restrict sum_g,
                             float* __restrict sum_gx) {
  const T *dy = n.dy, *more = n.more_dy, *__restrict x = n.x, *__restrict y = n.y;
  const float* __restrict scale = n.scale, * __restrict shift = n.shift, * __restrict mean = n.mean;
  T* kept = n.g;  // may be dy's memory
  const Clamp clamp = n.clamp;
  const int64_t channels = n.channels;
#pragma GCC ivdep
  for (int64_t c = 0; c < channels; ++c) {
    float of_g = 0, of_gx = 0;
#pragma GCC unroll 8
    for (int64_t k = 0; k < kRows; ++k) {
      const int64_t i = (row + k) * channels + c;
      const float g = masked<T, kTwo, kMask>(dy + i, more + (kTwo ? i : 0), x + i, y + (kMask == MaskOf::kY ? i : 0),
                                             scale[c], shift[c], clamp);
      if constexpr (kKeep) store(kept + i, g);
      of_g += g;
      of_gx += g * (load(x + i) - mean[c]);
    }
    sum_g[c] += of_g;
    sum_gx[c] += of_gx;
  }
}

template <typename T, bool kTwo, MaskOf kMask, bool kKeep>
MOX_INLINE void sums_of_rows(const NormalizationGradient<T>& n, int64_t begin, int64_t end, float* __restrict sum_g,
                             float* __restrict sum_gx) {
  int64_t r = begin;
  for (; r + kRowsOfTwo <= end; r += kRowsOfTwo) sums_of_some<T, kTwo, kMask, kKeep, kRowsOfTwo>(n, r, sum_g, sum_gx);
  for (; r < end; ++r) sums_of_some<T, kTwo, kMask, kKeep, 1>(n, r, sum_g, sum_gx);
}

template <typename T>
MOX_INLINE void sums_any(const NormalizationGradient<T>& n, int64_t begin, int64_t end, float* sum_g, float* sum_gx) {
  if (n.y && n.more_dy)
    sums_of_rows<T, true, MaskOf::kY, true>(n, begin, end, sum_g, sum_gx);
  else if (n.y)
    sums_of_rows<T, false, MaskOf::kY, true>(n, begin, end, sum_g, sum_gx);
  else if (!clamps(n.clamp) && n.more_dy)
    sums_of_rows<T, true, MaskOf::kNothing, false>(n, begin, end, sum_g, sum_gx);
  else if (!clamps(n.clamp))
    sums_of_rows<T, false, MaskOf::kNothing, false>(n, begin, end, sum_g, sum_gx);
  else if (n.more_dy)
    sums_of_rows<T, true, MaskOf::kX, false>(n, begin, end, sum_g, sum_gx);
  else
    sums_of_rows<T, false, MaskOf::kX, false>(n, begin, end, sum_g, sum_gx);
}

template <typename T, bool kTwo, MaskOf kMask, bool kKept = false>
MOX_INLINE void input_gradient_rows(const NormalizationGradient<T>& n, int64_t begin, int64_t end,
                                    const float* __restrict of_g, const float* __restrict of_x,
                                    const float* __restrict constant) {
  const T *dy = n.dy, *more = n.more_dy, *__restrict x = n.x, *kept = n.g;
  const float* __restrict scale = n.scale, * __restrict shift = n.shift;
  T* dx = n.dx;  // may be dy's memory: each place is read before it is written
  const Clamp clamp = n.clamp;
  const int64_t channels = n.channels;
  for (int64_t r = begin * channels; r < end * channels; r += channels) {
#pragma GCC ivdep
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t i = r + c;
      float g;
      if constexpr (kKept)
        g = load(kept + i);
      else
        g = masked<T, kTwo, kMask>(dy + i, more + (kTwo ? i : 0), x + i, nullptr, scale[c], shift[c], clamp);
      store(dx + i, of_g[c] * g + of_x[c] * load(x + i) + constant[c]);
    }
  }
}

template <typename T>
MOX_INLINE void input_gradient_any(const NormalizationGradient<T>& n, int64_t begin, int64_t end, const float* of_g,
                                   const float* of_x, const float* constant) {
  if (n.g)
    input_gradient_rows<T, false, MaskOf::kNothing, true>(n, begin, end, of_g, of_x, constant);
  else if (!clamps(n.clamp) && n.more_dy)
    input_gradient_rows<T, true, MaskOf::kNothing>(n, begin, end, of_g, of_x, constant);
  else if (!clamps(n.clamp))
    input_gradient_rows<T, false, MaskOf::kNothing>(n, begin, end, of_g, of_x, constant);
  else if (n.more_dy)
    input_gradient_rows<T, true, MaskOf::kX>(n, begin, end, of_g, of_x, constant);
  else
    input_gradient_rows<T, false, MaskOf::kX>(n, begin, end, of_g, of_x, constant);
}

}  // namespace

void join_moments(int64_t channels, int64_t count, const float* mean, const float* squares, int64_t* total,
                  float* total_mean, float* total_squares) {
  const int64_t sum = *total + count;
  const float share = static_cast<float>(count) / static_cast<float>(sum);
  const float both = share * static_cast<float>(*total);
  for (int64_t c = 0; c < channels; ++c) {
    const float difference = mean[c] - total_mean[c];
    total_mean[c] += difference * share;
    total_squares[c] += squares[c] + difference * difference * both;
  }
  *total = sum;
}

MOX_FOR_EACH_CPU void add_moments(const float* x, int64_t begin, int64_t end, int64_t channels, int64_t* total,
                                  float* mean, float* squares, float* scratch) {
  add_range(x, begin, end, channels, total, mean, squares, scratch);
}
MOX_FOR_EACH_CPU void add_moments(const bfloat16_bits* x, int64_t begin, int64_t end, int64_t channels, int64_t* total,
                                  float* mean, float* squares, float* scratch) {
  add_range(x, begin, end, channels, total, mean, squares, scratch);
}

MOX_FOR_EACH_CPU void normalize(const Normalization<float>& n, int64_t begin, int64_t end) {
  normalize_any(n, begin, end);
}
MOX_FOR_EACH_CPU void normalize(const Normalization<bfloat16_bits>& n, int64_t begin, int64_t end) {
  normalize_any(n, begin, end);
}

MOX_FOR_EACH_CPU void gradient_sums(const NormalizationGradient<float>& n, int64_t begin, int64_t end, float* sum_g,
                                    float* sum_gx) {
  sums_any(n, begin, end, sum_g, sum_gx);
}
MOX_FOR_EACH_CPU void gradient_sums(const NormalizationGradient<bfloat16_bits>& n, int64_t begin, int64_t end,
                                    float* sum_g, float* sum_gx) {
  sums_any(n, begin, end, sum_g, sum_gx);
}

MOX_FOR_EACH_CPU void input_gradient(const NormalizationGradient<float>& n, int64_t begin, int64_t end,
                                     const float* of_g, const float* of_x, const float* constant) {
  input_gradient_any(n, begin, end, of_g, of_x, constant);
}
MOX_FOR_EACH_CPU void input_gradient(const NormalizationGradient<bfloat16_bits>& n, int64_t begin, int64_t end,
                                     const float* of_g, const float* of_x, const float* constant) {
  input_gradient_any(n, begin, end, of_g, of_x, constant);
}

}  // namespace mox::kernels
