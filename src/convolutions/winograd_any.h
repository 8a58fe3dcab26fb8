// Winograd's transforms of convolutions/loops.h, for files that are compiled for one instruction set: all is inside an
// anonymous namespace, see convolutions/loops_any.h.
//
// kTaps: a side of the filter, 3 or 5; its tile has 7 - kTaps outputs a side. Both have the same inputs and points.
#pragma once

#include "convolutions/loops.h"
#include "convolutions/vectors_any.h"

namespace mox::convolutions {
namespace {

// ---- Of one dimension: B^T, A^T, A, G and G^T for the points 0, a, -a, b, -b and infinity

constexpr float a1 = 0.625f, b1 = 1.5f, a2 = a1 * a1, b2 = b1 * b1, a3 = a2 * a1, b3 = b2 * b1, a4 = a2 * a2,
                b4 = b2 * b2;
constexpr float g0 = 1 / (a2 * b2), ga = 1 / (2 * a2 * (a2 - b2)), gb = 1 / (2 * b2 * (b2 - a2));

// At a, -a, b and -b: what even and odd powers give.
MOX_INLINE void at_points(Vector even_a, Vector odd_a, Vector even_b, Vector odd_b, Vector* v) {
  v[1] = even_a + odd_a;
  v[2] = even_a - odd_a;
  v[3] = even_b + odd_b;
  v[4] = even_b - odd_b;
}

MOX_INLINE void to_input(const Vector* d, Vector* v) {
  const Vector even_a = d[4] - b2 * d[2], odd_a = a1 * (d[3] - b2 * d[1]);
  const Vector even_b = d[4] - a2 * d[2], odd_b = b1 * (d[3] - a2 * d[1]);
  v[0] = a2 * b2 * d[0] - (a2 + b2) * d[2] + d[4];
  at_points(even_a, odd_a, even_b, odd_b, v);
  v[5] = a2 * b2 * d[1] - (a2 + b2) * d[3] + d[5];
}

template <int kTaps>
MOX_INLINE void to_output(const Vector* m, Vector* y) {
  const Vector sum_a = m[1] + m[2], difference_a = m[1] - m[2], sum_b = m[3] + m[4], difference_b = m[3] - m[4];
  y[0] = m[0] + sum_a + sum_b;
  y[1] = a1 * difference_a + b1 * difference_b;
  if constexpr (kTaps == 3) {
    y[2] = a2 * sum_a + b2 * sum_b;
    y[3] = a3 * difference_a + b3 * difference_b + m[5];
  } else {
    y[1] += m[5];
  }
}

template <int kTaps>
MOX_INLINE void to_gradient(const Vector* y, Vector* z) {
  z[0] = y[0];
  if constexpr (kTaps == 3) {
    at_points(y[0] + a2 * y[2], a1 * y[1] + a3 * y[3], y[0] + b2 * y[2], b1 * y[1] + b3 * y[3], z);
    z[5] = y[3];
  } else {
    at_points(y[0], a1 * y[1], y[0], b1 * y[1], z);
    z[5] = y[1];
  }
}

template <int kTaps>
MOX_INLINE void to_filter(const Vector* g, Vector* u) {
  Vector even_a = ga * g[0] + ga * a2 * g[2], odd_a = ga * a1 * g[1];
  Vector even_b = gb * g[0] + gb * b2 * g[2], odd_b = gb * b1 * g[1];
  if constexpr (kTaps == 5) {
    even_a += ga * a4 * g[4];
    odd_a += ga * a3 * g[3];
    even_b += gb * b4 * g[4];
    odd_b += gb * b3 * g[3];
  }
  u[0] = g0 * g[0];
  at_points(even_a, odd_a, even_b, odd_b, u);
  u[5] = g[kTaps - 1];
}

template <int kTaps>
MOX_INLINE void of_filter(const Vector* u, Vector* g) {
  const Vector sum_a = u[1] + u[2], difference_a = u[1] - u[2], sum_b = u[3] + u[4], difference_b = u[3] - u[4];
  g[0] = g0 * u[0] + ga * sum_a + gb * sum_b;
  g[1] = ga * a1 * difference_a + gb * b1 * difference_b;
  g[2] = ga * a2 * sum_a + gb * b2 * sum_b;
  if constexpr (kTaps == 5) {
    g[3] = ga * a3 * difference_a + gb * b3 * difference_b;
    g[4] = ga * a4 * sum_a + gb * b4 * sum_b;
  }
  g[kTaps - 1] += u[5];
}

// ---- The same in two dimensions

template <int kTaps>
void transform_filter_of(const float* filter, int64_t channels, int64_t filters, int64_t begin, int64_t end,
                         bool rotated, float* panels, int64_t frequency_stride) {
  for (int64_t c = begin; c < end; ++c)
    for (int64_t k = 0; k < filters; k += kWidth) {
      Vector half[6][kTaps], g[kTaps], u[6];
      for (int s = 0; s < kTaps; ++s) {
        for (int r = 0; r < kTaps; ++r) {
          const int place = r * kTaps + s;
          g[r] = load(filter + ((rotated ? kTaps * kTaps - 1 - place : place) * channels + c) * filters + k);
        }
        to_filter<kTaps>(g, u);
        for (int i = 0; i < 6; ++i) half[i][s] = u[i];
      }
      float* to = panels + (k / kColumns * channels + c) * kColumns + k % kColumns;
      for (int i = 0; i < 6; ++i) {
        to_filter<kTaps>(half[i], u);
        for (int j = 0; j < 6; ++j) store(to + (i * 6 + j) * frequency_stride, u[j]);
      }
    }
}

template <int kTaps>
void filter_of(const Frequencies& from, int64_t channels, int64_t filters, int64_t begin, int64_t end, float* dfilter) {
  for (int64_t c = begin; c < end; ++c)
    for (int64_t k = 0; k < filters; k += kWidth) {
      Vector half[kTaps][6], u[6], g[kTaps];
      const float* at = from.data + c * from.row_stride + k;
      for (int j = 0; j < 6; ++j) {
        for (int i = 0; i < 6; ++i) u[i] = load(at + (i * 6 + j) * from.stride);
        of_filter<kTaps>(u, g);
        for (int i = 0; i < kTaps; ++i) half[i][j] = g[i];
      }
      for (int i = 0; i < kTaps; ++i) {
        of_filter<kTaps>(half[i], g);
        for (int j = 0; j < kTaps; ++j) store(dfilter + ((i * kTaps + j) * channels + c) * filters + k, g[j]);
      }
    }
}

// Where a tile lies: its first output.
struct Place {
  int64_t image, y, x;
};
MOX_INLINE Place place_of(const TiledImage& image, int64_t tile) {
  const int64_t columns = image.tile_columns(), rows = image.tile_rows();
  return {tile / (rows * columns), tile / columns % rows * image.tile(), tile % columns * image.tile()};
}

template <typename T>
void transform_input(const TiledImage& image, const T* x, int64_t begin, int64_t end, const Frequencies& to) {
  for (int64_t tile = begin; tile < end; ++tile) {
    const Place place = place_of(image, tile);
    const int64_t y0 = place.y - image.pad_top, x0 = place.x - image.pad_left;
    const T* rows[6];  // null: padding
    for (int i = 0; i < 6; ++i)
      rows[i] = y0 + i >= 0 && y0 + i < image.height
                    ? x + ((place.image * image.height + y0 + i) * image.width + x0) * image.channels
                    : nullptr;
    const int first = x0 < 0 ? static_cast<int>(-x0) : 0;
    const int last = image.width - x0 < 6 ? static_cast<int>(image.width - x0) : 6;
    for (int64_t c = 0; c < image.channels; c += kWidth) {
      Vector half[6][6], d[6], v[6];
#pragma GCC unroll 6
      for (int j = 0; j < 6; ++j) {
        const bool inside = j >= first && j < last;
        for (int i = 0; i < 6; ++i) d[i] = inside && rows[i] ? load(rows[i] + j * image.channels + c) : Vector{};
        to_input(d, v);
        for (int i = 0; i < 6; ++i) half[i][j] = v[i];
      }
      float* at = to.data + (tile - begin) * to.row_stride + c;
#pragma GCC unroll 6
      for (int i = 0; i < 6; ++i) {
        to_input(half[i], v);
        for (int j = 0; j < 6; ++j) store(at + (i * 6 + j) * to.stride, v[j]);
      }
    }
  }
}

template <int kTaps, typename T>
void transform_gradient_of(const TiledImage& image, const T* dy, int64_t filters, int64_t begin, int64_t end,
                           const Frequencies& to) {
  constexpr int kTile = tile_of(kTaps);
  for (int64_t tile = begin; tile < end; ++tile) {
    const Place place = place_of(image, tile);
    const T* rows[kTile];  // null: beyond the image
    for (int i = 0; i < kTile; ++i)
      rows[i] = place.y + i < image.out_height
                    ? dy + ((place.image * image.out_height + place.y + i) * image.out_width + place.x) * filters
                    : nullptr;
    const int last = image.out_width - place.x < kTile ? static_cast<int>(image.out_width - place.x) : kTile;
    for (int64_t k = 0; k < filters; k += kWidth) {
      Vector half[6][kTile], d[kTile], z[6];
#pragma GCC unroll 4
      for (int j = 0; j < kTile; ++j) {
        for (int i = 0; i < kTile; ++i) d[i] = j < last && rows[i] ? load(rows[i] + j * filters + k) : Vector{};
        to_gradient<kTaps>(d, z);
        for (int i = 0; i < 6; ++i) half[i][j] = z[i];
      }
      float* at = to.data + (tile - begin) * to.row_stride + k;
#pragma GCC unroll 6
      for (int i = 0; i < 6; ++i) {
        to_gradient<kTaps>(half[i], z);
        for (int j = 0; j < 6; ++j) store(at + (i * 6 + j) * to.stride, z[j]);
      }
    }
  }
}

template <int kTaps>
void output_of(const TiledImage& image, const Frequencies& from, int64_t filters, int64_t begin, int64_t end,
               const Epilogue& epilogue, float* y) {
  constexpr int kTile = tile_of(kTaps);
  for (int64_t tile = begin; tile < end; ++tile) {
    const Place place = place_of(image, tile);
    const int64_t height = image.out_height - place.y, width = image.out_width - place.x;
    const int64_t first = ((place.image * image.out_height + place.y) * image.out_width + place.x) * filters;
    float* to = y + first;
    const float* side = epilogue.side ? static_cast<const float*>(epilogue.side) + first : nullptr;
    for (int64_t k = 0; k < filters; k += kWidth) {
      Vector half[kTile][6], m[6], out[kTile];
      const float* at = from.data + (tile - begin) * from.row_stride + k;
#pragma GCC unroll 6
      for (int j = 0; j < 6; ++j) {
        for (int i = 0; i < 6; ++i) m[i] = load(at + (i * 6 + j) * from.stride);
        to_output<kTaps>(m, out);
        for (int i = 0; i < kTile; ++i) half[i][j] = out[i];
      }
      const Vector bias = epilogue.bias ? load(epilogue.bias + k) : Vector{};
#pragma GCC unroll 4
      for (int i = 0; i < kTile; ++i) {
        if (i >= height) break;
        to_output<kTaps>(half[i], out);
#pragma GCC unroll 4
        for (int j = 0; j < kTile; ++j) {
          if (j >= width) break;
          const int64_t at = (i * image.out_width + j) * filters + k;
          store(to + at, clamped(side ? out[j] + bias + load(side + at) : out[j] + bias, epilogue));
        }
      }
    }
  }
}

// ---- As ConvolutionLoops calls them

void transform_filter(int64_t taps, const float* filter, int64_t channels, int64_t filters, int64_t begin, int64_t end,
                      bool rotated, float* panels, int64_t frequency_stride) {
  const auto transform = taps == 3 ? transform_filter_of<3> : transform_filter_of<5>;
  transform(filter, channels, filters, begin, end, rotated, panels, frequency_stride);
}

void filter_of_frequencies(int64_t taps, const Frequencies& from, int64_t channels, int64_t filters, int64_t begin,
                           int64_t end, float* dfilter) {
  (taps == 3 ? filter_of<3> : filter_of<5>)(from, channels, filters, begin, end, dfilter);
}

template <typename T>
void transform_gradient(const TiledImage& image, const T* dy, int64_t filters, int64_t begin, int64_t end,
                        const Frequencies& to) {
  (image.taps == 3 ? transform_gradient_of<3, T> : transform_gradient_of<5, T>)(image, dy, filters, begin, end, to);
}

void output_of_frequencies(const TiledImage& image, const Frequencies& from, int64_t filters, int64_t begin,
                           int64_t end, const Epilogue& epilogue, float* y) {
  (image.taps == 3 ? output_of<3> : output_of<5>)(image, from, filters, begin, end, epilogue, y);
}

}  // namespace
}  // namespace mox::convolutions
