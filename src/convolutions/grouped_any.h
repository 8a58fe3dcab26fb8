// The loops of convolutions/grouped_loops.h for vectors of MOX_LANES floats. Included once by each file that is
// compiled for an instruction set, through loops_any.h.
#pragma once

#include <immintrin.h>

#include "convolutions/grouped_loops.h"
#include "convolutions/vectors_any.h"

namespace mox::convolutions {
namespace {

constexpr int kFewPixels = 7;  // images are 56, 28, 14 or 7 pixels wide in most networks
constexpr int kManyPixels = MOX_LANES == 16 ? 2 * kFewPixels : kFewPixels;  // what the registers hold
constexpr int kSpreadChannels = MOX_LANES == 16 ? 8 : 4;  // times three columns of a filter: sums in registers

// Channel i of each group of kGroup lanes, in all lanes of the group.
template <int kGroup, int i>
MOX_INLINE Vector spread(Vector v) {
#define MOX_LANE(lane) ((lane) / kGroup * kGroup + i)
#if MOX_LANES == 16
  return __builtin_shufflevector(v, v, MOX_LANE(0), MOX_LANE(1), MOX_LANE(2), MOX_LANE(3), MOX_LANE(4), MOX_LANE(5),
                                 MOX_LANE(6), MOX_LANE(7), MOX_LANE(8), MOX_LANE(9), MOX_LANE(10), MOX_LANE(11),
                                 MOX_LANE(12), MOX_LANE(13), MOX_LANE(14), MOX_LANE(15));
#else
  return __builtin_shufflevector(v, v, MOX_LANE(0), MOX_LANE(1), MOX_LANE(2), MOX_LANE(3), MOX_LANE(4), MOX_LANE(5),
                                 MOX_LANE(6), MOX_LANE(7));
#endif
#undef MOX_LANE
}

// kGroup 0: groups of a vector or more, all lanes take the same channel.
template <int kGroup, int i>
MOX_INLINE auto take(const float* pixel) {
  if constexpr (kGroup == 0)
    return pixel[i];
  else
    return spread<kGroup, i>(load(pixel));
}

// Of kTaps columns of the filter, which are neighbouring pixels where kTaps > 1: a channel is taken once for all.
template <int kGroup, int kTaps, int kPixels, int i>
MOX_INLINE void add_channels(Vector (&sums)[kPixels], const float* x, int64_t step, const float* filter,
                             int64_t group) {
  Vector weights[kTaps];
  for (int t = 0; t < kTaps; ++t) weights[t] = load(filter + (t * group + i) * kWidth);
#pragma GCC unroll 16
  for (int q = 0; q < kPixels + kTaps - 1; ++q) {
    const auto channel = take<kGroup, i>(x + q * step);
#pragma GCC unroll 4
    for (int t = 0; t < kTaps; ++t)
      if (q - t >= 0 && q - t < kPixels) sums[q - t] = sums[q - t] + channel * weights[t];
  }
  if constexpr (i + 1 < kGroup) add_channels<kGroup, kTaps, kPixels, i + 1>(sums, x, step, filter, group);
}

template <int kGroup, int kTaps, int kPixels>
void convolve_pixels(const GroupedRow& row, const float* x, float* to) {
  Vector sums[kPixels];
  for (int p = 0; p < kPixels; ++p) sums[p] = Vector{};
  // Known where it can be: a place in an instruction in place of a register.
  const int64_t group = kGroup ? kGroup : row.group, step = kGroup && kTaps > 1 ? kWidth : row.x_step;
  const float* filter = row.filter;
  for (int64_t r = 0; r < row.height; ++r)
    for (int64_t s = 0; s < row.width; s += kTaps, filter += kTaps * group * kWidth) {
      const float* at = x + r * row.x_row + s * row.x_pixel;
      if constexpr (kGroup > 0)
        add_channels<kGroup, kTaps, kPixels, 0>(sums, at, step, filter, group);
      else
        for (int64_t i = 0; i < group; ++i)
          add_channels<0, kTaps, kPixels, 0>(sums, at + i, step, filter + i * kWidth, group);
    }
  for (int p = 0; p < kPixels; ++p) store(to + p * kWidth, sums[p]);
}

// A vector is a line of the cache: it needs not be read to be written.
MOX_INLINE bool can_go_past_caches(const float* y) {
  return MOX_LANES == 16 && reinterpret_cast<uintptr_t>(y) % sizeof(Vector) == 0;
}
MOX_INLINE bool can_go_past_caches(const bfloat16_bits*) { return false; }
MOX_INLINE void store_past_caches(void* to, const float* from) {
#if MOX_LANES == 16
  _mm512_stream_ps(static_cast<float*>(to), load(from));
#endif
}

template <int kGroup, int kTaps, typename T>
void convolve_row(const GroupedRow& row, T* y) {
  const bool past_caches = row.past_caches && can_go_past_caches(y);  // steps are whole lines
  float sums[kManyPixels * kWidth];
  for (int64_t begin = 0; begin < row.count;) {
    const int64_t left = row.count - begin, pixels = left > kFewPixels ? kManyPixels : kFewPixels;
    if (pixels == kFewPixels)
      convolve_pixels<kGroup, kTaps, kFewPixels>(row, row.x + begin * row.x_step, sums);
    else
      convolve_pixels<kGroup, kTaps, kManyPixels>(row, row.x + begin * row.x_step, sums);
    if (past_caches)
      for (int64_t p = 0; p < pixels && p < left; ++p)
        store_past_caches(y + (begin + p) * row.y_step, sums + p * kWidth);
    else
      for (int64_t p = 0; p < pixels && p < left; ++p) store(y + (begin + p) * row.y_step, load(sums + p * kWidth));
    begin += pixels;
  }
}

template <int kGroup, typename T>
void convolve_group(const GroupedRow& row, T* y) {
  if (row.x_step == row.x_pixel && row.width == 3) return convolve_row<kGroup, 3>(row, y);
  if (row.x_step == row.x_pixel && row.width == 2) return convolve_row<kGroup, 2>(row, y);
  convolve_row<kGroup, 1>(row, y);
}

template <typename T>
void convolve_any(const GroupedRow& row, T* y) {
  if (row.group >= kWidth) return convolve_group<0>(row, y);
#if MOX_LANES == 16
  if (row.group == 8) return convolve_group<8>(row, y);
#endif
  convolve_group<4>(row, y);
}

// ---- Sums over pixels

template <int kGroup, int kTaps, int kChannels, int i = 0>
MOX_INLINE void add_pixel(Vector (&sums)[kTaps][kChannels], const float* x, int64_t pixel, Vector dy) {
  for (int t = 0; t < kTaps; ++t) sums[t][i] = sums[t][i] + take<kGroup, i>(x + t * pixel) * dy;
  if constexpr (i + 1 < kChannels) add_pixel<kGroup, kTaps, kChannels, i + 1>(sums, x, pixel, dy);
}

template <int kGroup, int kTaps, int kChannels>
void add_columns(const GroupedSums& a, int64_t column, int64_t channel) {
  const int64_t group = kGroup ? kGroup : a.group;
  Vector sums[kTaps][kChannels];
  for (int t = 0; t < kTaps; ++t)
    for (int i = 0; i < kChannels; ++i) sums[t][i] = Vector{};
  for (int64_t r = 0; r < a.rows; ++r) {
    const float *x = a.x + r * a.x_row + column * a.x_pixel + channel, *dy = a.dy + r * a.dy_row;
    for (int64_t p = 0; p < a.count; ++p, x += a.x_step, dy += a.dy_pixel)
      add_pixel<kGroup, kTaps, kChannels>(sums, x, a.x_pixel, load(dy));
  }
  float* to = a.sums + (column * group + channel) * kWidth;
  for (int t = 0; t < kTaps; ++t)
    for (int i = 0; i < kChannels; ++i) {
      float* at = to + (t * group + i) * kWidth;
      store(at, load(at) + sums[t][i]);
    }
}

template <int kGroup, int kTaps>
MOX_INLINE void add_channels_of_columns(const GroupedSums& a, int64_t column) {
  if constexpr (kGroup > 0) return add_columns<kGroup, kTaps, kGroup>(a, column, 0);
  for (int64_t c = 0; c < a.group; c += kSpreadChannels) add_columns<0, kTaps, kSpreadChannels>(a, column, c);
}

template <int kGroup>
void add_group(const GroupedSums& a) {
  int64_t column = 0;
  for (; column + 3 <= a.width; column += 3) add_channels_of_columns<kGroup, 3>(a, column);
  for (; column < a.width; ++column) add_channels_of_columns<kGroup, 1>(a, column);
}

void add_products_of_groups(const GroupedSums& a) {
  if (a.group >= kWidth) return add_group<0>(a);
#if MOX_LANES == 16
  if (a.group == 8) return add_group<8>(a);
#endif
  add_group<4>(a);
}

template <typename T>
void gather_any(const T* x, int64_t count, int64_t pixel, int64_t channels, int64_t block, int64_t block_stride,
                int64_t to_pixel, float* to) {
  for (int64_t i = 0; i < count; ++i, x += pixel, to += to_pixel) {
    float* at = to;
    for (int64_t c = 0, of_block = 0; c < channels; c += kWidth, of_block += kWidth) {
      if (of_block == block) at += block_stride, of_block = 0;
      store(at + of_block, load(x + c));
    }
  }
}

constexpr GroupedLoops kGroupedLoops = {
    .lanes = kWidth,
    .pixels = kFewPixels,
    .convolve = convolve_any<float>,
    .convolve_bfloat16 = convolve_any<bfloat16_bits>,
    .flush = [] { _mm_sfence(); },
    .add_products = add_products_of_groups,
    .gather = gather_any<float>,
    .gather_bfloat16 = gather_any<bfloat16_bits>,
};

}  // namespace
}  // namespace mox::convolutions
