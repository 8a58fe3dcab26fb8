// The loops of convolutions/depthwise_loops.h for vectors of MOX_LANES floats and MOX_PIXELS pixels at a time. Included
// once by each file that is compiled for an instruction set, see convolutions/loops_any.h.
#include "convolutions/depthwise_loops.h"
#include "convolutions/vectors_any.h"

namespace mox::convolutions {
namespace {

constexpr int kPixels = MOX_PIXELS;

// Calls body(channel, lanes) for vectors of a part's channels.
template <typename Body>
MOX_INLINE void for_vectors(const DepthwisePart& part, const Body& body) {
  int64_t c = part.first;
  for (; c + kWidth <= part.last; c += kWidth) body(c, AllLanes{});
  if (c < part.last) body(c, SomeLanes(part.last - c));
}

template <int kValue>
struct Constant {
  static constexpr int value = kValue;
};

// Calls body(first, count) for groups of kPixels out of `all`; the last one may have fewer.
template <int kMost, typename Body>
MOX_INLINE void for_groups(int64_t all, const Body& body) {
  for (int64_t first = 0; first < all; first += kMost)
    body(first, all - first < kMost ? static_cast<int>(all - first) : kMost);
}

// Which of columns [first, first + count) lie in [0, width): a bit each.
MOX_INLINE uint32_t inside(int64_t first, int count, int64_t width) {
  const int64_t begin = first < 0 ? -first : 0, end = width - first < count ? width - first : count;
  return end > begin ? ((uint32_t{1} << end) - 1) & ~((uint32_t{1} << begin) - 1) : 0;
}

// Brings pixels of a row that is read later into the second cache: vectors of one channel of each.
template <int kCount, typename T>
MOX_INLINE void fetch_ahead(const T* from, int64_t channels) {
#pragma GCC unroll 16
  for (int i = 0; i < kCount; ++i) __builtin_prefetch(from + i * channels, 0, 2);
}

// ---- Forward

// For every row of the filter the row of x that it meets, null in the padding.
template <int kSize, typename T>
MOX_INLINE void rows_of_window(const Depthwise& d, const T* x, int64_t image, int64_t oy, const T** rows) {
  for (int r = 0; r < kSize; ++r) {
    const int64_t iy = oy * d.stride + r - d.pad_top;
    rows[r] = iy >= 0 && iy < d.height ? x + (image * d.height + iy) * d.width * d.channels : nullptr;
  }
}

// What the next row of windows needs of x and this one does not, at pixels [x0, x0 + kPixels) of it.
template <int kSize, int kStride, int kCount, typename T>
MOX_INLINE void fetch_ahead_of_windows(const Depthwise& d, const T* x, int64_t row, int64_t x0, int64_t channel) {
  const int64_t iy = row / d.out_height * d.height + row % d.out_height * kStride - d.pad_top + kSize;
  for (int i = 0; i < kStride; ++i)
    fetch_ahead<kCount * kStride>(x + ((iy + i) * d.width + x0) * d.channels + channel, d.channels);
}

template <int kSize, int kStride, typename T>
void forward_rows(const Depthwise& d, const T* x, const float* filter, const Epilogue& epilogue, T* y,
                  const DepthwisePart& part) {
  constexpr int kSpan = (kPixels - 1) * kStride + kSize;
  const int64_t channels = d.channels;
  for (int64_t row = part.begin; row < part.end; ++row) {
    const T* rows[kSize];
    rows_of_window<kSize>(d, x, row / d.out_height, row % d.out_height, rows);
    for_groups<kPixels>(d.out_width, [&](int64_t ox, int count) MOX_ALWAYS {
      const int64_t x0 = ox * kStride - d.pad_left;
      const uint32_t columns = inside(x0, kSpan, d.width);
      T* to = y + (row * d.out_width + ox) * channels;
      for_vectors(part, [&](int64_t c, auto lanes) MOX_ALWAYS {
        fetch_ahead_of_windows<kSize, kStride, kPixels>(d, x, row, x0, c);
        Vector sums[kPixels];
        for (int o = 0; o < kPixels; ++o) sums[o] = Vector{};
        for (int r = 0; r < kSize; ++r) {
          if (!rows[r]) continue;
          Vector f[kSize];
#pragma GCC unroll 7
          for (int s = 0; s < kSize; ++s) f[s] = lanes.get(filter + (r * kSize + s) * channels + c);
          const T* from = rows[r] + x0 * channels + c;
#pragma GCC unroll 32
          for (int j = 0; j < kSpan; ++j, from += channels) {
            if (!(columns >> j & 1)) continue;
            const Vector v = lanes.get(from);
#pragma GCC unroll 7
            for (int s = 0; s < kSize; ++s)
              if (j >= s && (j - s) % kStride == 0 && (j - s) / kStride < kPixels) sums[(j - s) / kStride] += v * f[s];
          }
        }
        const Vector bias = epilogue.bias ? lanes.get(epilogue.bias + c) : Vector{};
#pragma GCC unroll 16
        for (int o = 0; o < kPixels; ++o)
          if (o < count) lanes.put(to + o * channels + c, clamped(sums[o] + bias, epilogue));
      });
    });
  }
}

// ---- The gradient of the input

// Columns of x, counted from the padding's first, are taken kStride at a time: u = kStride * m + q, which output m - t
// sees at column kStride * t + q of the filter.
template <int kSize, int kStride, typename T>
void input_gradient_rows(const Depthwise& d, const float* filter, const T* dy, T* dx, const DepthwisePart& part) {
  constexpr int kTaps = (kSize + kStride - 1) / kStride, kCount = kPixels / kStride, kSpan = kCount + kTaps - 1;
  const int64_t channels = d.channels, from_m = d.pad_left / kStride,
                to_m = (d.pad_left + d.width + kStride - 1) / kStride;
  for (int64_t row = part.begin; row < part.end; ++row) {
    const int64_t image = row / d.height, iy = row % d.height + d.pad_top;
    const T* rows[kSize];  // of dy; null where no output sees it
    for (int r = 0; r < kSize; ++r)
      rows[r] = iy >= r && (iy - r) % kStride == 0 && (iy - r) / kStride < d.out_height
                    ? dy + (image * d.out_height + (iy - r) / kStride) * d.out_width * channels
                    : nullptr;
    for_groups<kCount>(to_m - from_m, [&](int64_t m_from_first, int count) MOX_ALWAYS {
      const int64_t m = from_m + m_from_first, o0 = m - kTaps + 1, x0 = m * kStride - d.pad_left;
      const uint32_t outputs = inside(o0, kSpan, d.out_width), columns = inside(x0, count * kStride, d.width);
      const T* next = dy + ((image * d.out_height + iy / kStride + 1) * d.out_width + m) * channels;
      T* to = dx + (row * d.width + x0) * channels;
      for_vectors(part, [&](int64_t c, auto lanes) MOX_ALWAYS {
        fetch_ahead<kCount>(next + c, channels);
        Vector sums[kCount * kStride];
        for (int i = 0; i < kCount * kStride; ++i) sums[i] = Vector{};
        for (int r = 0; r < kSize; ++r) {
          if (!rows[r]) continue;
          Vector f[kSize];
#pragma GCC unroll 7
          for (int s = 0; s < kSize; ++s) f[s] = lanes.get(filter + (r * kSize + s) * channels + c);
          const T* from = rows[r] + o0 * channels + c;
#pragma GCC unroll 32
          for (int j = 0; j < kSpan; ++j, from += channels) {
            if (!(outputs >> j & 1)) continue;
            const Vector v = lanes.get(from);
#pragma GCC unroll 7
            for (int s = 0; s < kSize; ++s) {
              const int i = (j - kTaps + 1 + s / kStride) * kStride + s % kStride;
              if (i >= 0 && i < kCount * kStride) sums[i] += v * f[s];
            }
          }
        }
#pragma GCC unroll 16
        for (int i = 0; i < kCount * kStride; ++i)
          if (columns >> i & 1) lanes.put(to + i * channels + c, sums[i]);
      });
    });
  }
}

// ---- The gradient of the filter

template <int kSize, int kStride, typename T>
void filter_gradient_rows(const Depthwise& d, const T* x, const T* dy, float* sums, const DepthwisePart& part) {
  constexpr int kSpan = (kPixels - 1) * kStride + kSize;
  const int64_t channels = d.channels;
  for (int64_t row = part.begin; row < part.end; ++row) {
    const T* rows[kSize];
    rows_of_window<kSize>(d, x, row / d.out_height, row % d.out_height, rows);
    for_groups<kPixels>(d.out_width, [&](int64_t ox, int count) MOX_ALWAYS {
      const int64_t x0 = ox * kStride - d.pad_left;
      const uint32_t columns = inside(x0, kSpan, d.width);
      const T* gradients = dy + (row * d.out_width + ox) * channels;
      for_vectors(part, [&](int64_t c, auto lanes) MOX_ALWAYS {
        fetch_ahead_of_windows<kSize, kStride, kPixels>(d, x, row, x0, c);
        fetch_ahead<kPixels>(gradients + d.out_width * channels + c, channels);
        Vector g[kPixels];
#pragma GCC unroll 16
        for (int o = 0; o < kPixels; ++o) g[o] = o < count ? lanes.get(gradients + o * channels + c) : Vector{};
        for (int r = 0; r < kSize; ++r) {
          if (!rows[r]) continue;
          Vector of_row[kSize];
#pragma GCC unroll 7
          for (int s = 0; s < kSize; ++s) of_row[s] = lanes.get(sums + (r * kSize + s) * channels + c);
          const T* from = rows[r] + x0 * channels + c;
#pragma GCC unroll 32
          for (int j = 0; j < kSpan; ++j, from += channels) {
            if (!(columns >> j & 1)) continue;
            const Vector v = lanes.get(from);
#pragma GCC unroll 7
            for (int s = 0; s < kSize; ++s)
              if (j >= s && (j - s) % kStride == 0 && (j - s) / kStride < kPixels)
                of_row[s] += v * g[(j - s) / kStride];
          }
#pragma GCC unroll 7
          for (int s = 0; s < kSize; ++s) lanes.put(sums + (r * kSize + s) * channels + c, of_row[s]);
        }
      });
    });
  }
}

// Calls body(Constant<size>, Constant<stride>).
template <typename Body>
MOX_INLINE void with_shape(const Depthwise& d, const Body& body) {
  const auto with_stride = [&](auto size) MOX_ALWAYS {
    if (d.stride == 1) return body(size, Constant<1>{});
    body(size, Constant<2>{});
  };
  if (d.size == 3) return with_stride(Constant<3>{});
  if (d.size == 5) return with_stride(Constant<5>{});
  with_stride(Constant<7>{});
}

template <typename T>
constexpr DepthwiseLoopsOf<T> kLoopsOf = {
    .forward =
        [](const Depthwise& d, const T* x, const float* filter, const Epilogue& epilogue, T* y,
           const DepthwisePart& part) {
          with_shape(d, [&](auto size, auto stride)
                            MOX_ALWAYS { forward_rows<size.value, stride.value>(d, x, filter, epilogue, y, part); });
        },
    .input_gradient =
        [](const Depthwise& d, const float* filter, const T* dy, T* dx, const DepthwisePart& part) {
          with_shape(d, [&](auto size, auto stride)
                            MOX_ALWAYS { input_gradient_rows<size.value, stride.value>(d, filter, dy, dx, part); });
        },
    .filter_gradient =
        [](const Depthwise& d, const T* x, const T* dy, float* sums, const DepthwisePart& part) {
          with_shape(d, [&](auto size, auto stride)
                            MOX_ALWAYS { filter_gradient_rows<size.value, stride.value>(d, x, dy, sums, part); });
        },
};

constexpr DepthwiseLoops kDepthwise = {kLoopsOf<float>, kLoopsOf<bfloat16_bits>};

}  // namespace
}  // namespace mox::convolutions
