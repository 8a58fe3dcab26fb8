#include <algorithm>
#include <bit>

#include "base/for_each_cpu.h"
#include "kernels/pool_lines.h"
#include "kernels/pool_loops.h"

// Compiled with -O3 (src/CMakeLists.txt): the loops over channels become vector instructions of each set.
namespace mox::kernels {
namespace {

// What numbers are compared as. Two choices, each by one comparison: the compiler makes no vectors of one by two. The
// first NaN stays.
MOX_INLINE float order_of(float v) { return v; }
MOX_INLINE float number_of(float order) { return order; }
MOX_INLINE float greater_of(float most, float v) {
  const float greater = v <= most ? most : v;
  return most != most ? most : greater;
}

// Of bfloat16 integers, twice as many in a vector: -0 is less than +0, a NaN more than all numbers.
MOX_INLINE int16_t order_of(bfloat16_bits v) {
  const auto bits = static_cast<int16_t>(v);
  return static_cast<int16_t>((bits ^ ((bits >> 15) & 0x7fff)) - 0x7f);
}
MOX_INLINE bfloat16_bits number_of(int16_t order) {
  const auto bits = static_cast<int16_t>(order + 0x7f);
  return static_cast<bfloat16_bits>(bits ^ ((bits >> 15) & 0x7fff));
}
MOX_INLINE int16_t greater_of(int16_t most, int16_t v) { return v > most ? v : most; }
template <typename T>
using Order = decltype(order_of(T{}));

// The greatest of kSize numbers.
template <int kSize, typename At>
MOX_INLINE float greatest(float, const At& at) {
  // One comparison for two whether they are NaN: then the maximum, which one instruction computes, keeps it.
  float most = at(0);
#pragma GCC unroll 9
  for (int k = kSize % 2; k < kSize; k += 2) most = __builtin_isunordered(at(k), at(k + 1)) ? __builtin_nanf("") : most;
#pragma GCC unroll 9
  for (int k = 1; k < kSize; ++k) most = at(k) > most ? at(k) : most;
  return most;
}
template <int kSize, typename At>
MOX_INLINE bfloat16_bits greatest(bfloat16_bits, const At& at) {
  int16_t most = order_of(at(0));
#pragma GCC unroll 9
  for (int k = 1; k < kSize; ++k) most = greater_of(most, order_of(at(k)));
  return number_of(most);
}

MOX_INLINE int32_t bits_of(float v) { return std::bit_cast<int32_t>(v); }
MOX_INLINE bfloat16_bits bits_of(bfloat16_bits v) { return v; }
template <typename T>
using Bits = decltype(bits_of(T{}));

// Of `count` channels: y is the maximum of the window, `at` the first place of its bits.
template <typename T>
MOX_INLINE void give_places(const T* __restrict y, const Bits<T>* __restrict at, bool positive, int64_t count,
                            Place* __restrict places) {
  if (positive)
    for (int64_t c = 0; c < count; ++c) places[c] = static_cast<Place>(load(y + c) > 0 ? at[c] : Bits<T>{kNowhere});
  else
    for (int64_t c = 0; c < count; ++c) places[c] = static_cast<Place>(at[c]);
}

// A whole window from x on. `line`: numbers of a line.
template <typename T, int kHeight, int kWidth>
MOX_INLINE void max_of_whole(const T* __restrict x, int64_t line, int64_t channels, bool positive, T* __restrict y,
                             Place* __restrict places) {
  constexpr int kSize = kHeight * kWidth;
  for (int64_t c = 0; c < channels; ++c)
    y[c] = greatest<kSize>(T{}, [&](int k) MOX_INLINED { return x[k / kWidth * line + k % kWidth * channels + c]; });
  Bits<T> at[kChannelsAtOnce];
  for (int64_t first = 0; first < channels; first += kChannelsAtOnce) {
    const int64_t count = std::min(kChannelsAtOnce, channels - first);
    for (int64_t c = 0; c < count; ++c) {
      const Bits<T> most = bits_of(y[first + c]);
      Bits<T> here = kSize - 1;
#pragma GCC unroll 9
      for (int k = kSize - 2; k >= 0; --k)
        here = bits_of(x[k / kWidth * line + k % kWidth * channels + first + c]) == most ? Bits<T>(k) : here;
      at[c] = here;
    }
    give_places(y + first, at, positive, count, places + first);
  }
}

// Of the window of the places in `rows` and `columns` of the image x; its place 0 is at `top` and `left`.
template <typename T>
MOX_INLINE void max_of_any(const Pooling& p, const T* __restrict x, Span rows, Span columns, int64_t top, int64_t left,
                           bool positive, T* __restrict y, Place* __restrict places) {
  Order<T> most[kChannelsAtOnce];
  Bits<T> at[kChannelsAtOnce];
  for (int64_t first = 0; first < p.channels; first += kChannelsAtOnce) {
    const int64_t count = std::min(kChannelsAtOnce, p.channels - first);
    const auto from = [&](int64_t i, int64_t j) { return x + (i * p.width + j) * p.channels + first; };
    const T* __restrict start = from(rows.begin, columns.begin);
    for (int64_t c = 0; c < count; ++c) most[c] = order_of(start[c]);
    for (int64_t i = rows.begin; i < rows.end; ++i)
      for (int64_t j = columns.begin; j < columns.end; ++j) {
        const T* __restrict next = from(i, j);
        for (int64_t c = 0; c < count; ++c) most[c] = greater_of(most[c], order_of(next[c]));
      }
    for (int64_t c = 0; c < count; ++c) y[first + c] = number_of(most[c]);
    std::fill_n(at, count, Bits<T>{0});
    for (int64_t i = rows.end - 1; i >= rows.begin; --i)
      for (int64_t j = columns.end - 1; j >= columns.begin; --j) {
        const T* __restrict next = from(i, j);
        const auto place = static_cast<Bits<T>>((i - top) * p.window_width + j - left);
        for (int64_t c = 0; c < count; ++c) at[c] = bits_of(next[c]) == bits_of(y[first + c]) ? place : at[c];
      }
    give_places(y + first, at, positive, count, places + first);
  }
}

template <typename T>
MOX_INLINE void max_line(const Pooling& p, const T* image, int64_t out_row, bool positive, T* y, Place* places) {
  const Side side = across(p);
  const Span rows = down(p).seen(out_row);
  const int64_t line = p.width * p.channels, top = out_row * p.stride_down - p.pad_top;
  const bool whole_down = rows.size() == p.window_height;
  for (int64_t o = 0; o < p.out_width; ++o, y += p.channels, places += p.channels) {
    const Span columns = side.seen(o);
    const bool is_whole = whole_down && columns.size() == p.window_width;
    const T* x = image + rows.begin * line + columns.begin * p.channels;
    if (is_whole && p.window_height == 3 && p.window_width == 3)
      max_of_whole<T, 3, 3>(x, line, p.channels, positive, y, places);
    else if (is_whole && p.window_height == 2 && p.window_width == 2)
      max_of_whole<T, 2, 2>(x, line, p.channels, positive, y, places);
    else
      max_of_any(p, image, rows, columns, top, o * p.stride_across - p.pad_left, positive, y, places);
  }
}

template <typename T>
MOX_INLINE void max_lines(const Pooling& p, const T* x, bool positive, T* y, Place* places, int64_t begin,
                          int64_t end) {
  const int64_t line = p.out_width * p.channels;
  for (int64_t l = begin; l < end; ++l) {
    const T* image = x + l / p.out_height * p.height * p.width * p.channels;
    max_line(p, image, l % p.out_height, positive, y + l * line, places + l * line);
  }
}

// What goes to one place of the image from kRows * kColumns windows, the first at dy; it is `place` there.
template <typename T, int kRows, int kColumns>
MOX_INLINE void gather_few(const Pooling& p, const T* __restrict dy, const Place* __restrict places, int32_t place,
                           T* __restrict dx) {
  const int64_t channels = p.channels, line = p.out_width * channels;
  const auto less_down = static_cast<int32_t>(p.stride_down * p.window_width);
  const auto less_across = static_cast<int32_t>(p.stride_across);
  for (int64_t c = 0; c < channels; ++c) {
    float sum = 0;
#pragma GCC unroll 9
    for (int k = 0; k < kRows * kColumns; ++k) {
      const int i = k / kColumns, j = k % kColumns;
      const int64_t at = i * line + j * channels + c;
      const float term = load(dy + at);
      sum += places[at] == place - i * less_down - j * less_across ? term : 0.f;
    }
    store(dx + c, sum);
  }
}

template <typename T>
MOX_INLINE void gather_any(const Pooling& p, const T* __restrict dy, const Place* __restrict places, int64_t rows,
                           int64_t columns, int64_t place, T* __restrict dx) {
  float sums[kChannelsAtOnce];
  for (int64_t first = 0; first < p.channels; first += kChannelsAtOnce) {
    const int64_t channels = std::min(kChannelsAtOnce, p.channels - first);
    for (int64_t c = 0; c < channels; ++c) sums[c] = 0;
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < columns; ++j) {
        const int64_t at = (i * p.out_width + j) * p.channels + first;
        const auto here = static_cast<Place>(place - i * p.stride_down * p.window_width - j * p.stride_across);
        for (int64_t c = 0; c < channels; ++c) sums[c] += places[at + c] == here ? load(dy + at + c) : 0.f;
      }
    for (int64_t c = 0; c < channels; ++c) store(dx + first + c, sums[c]);
  }
}

template <typename T>
MOX_INLINE void gather_line(const Pooling& p, const T* dy, const Place* places, int64_t row, T* dx) {
  const Side side = across(p);
  const Span rows = down(p).windows(row);
  const int64_t row_in_window = row + p.pad_top - rows.begin * p.stride_down;
  for (int64_t i = 0; i < p.width; ++i, dx += p.channels) {
    const Span columns = side.windows(i);
    const int64_t from = (rows.begin * p.out_width + columns.begin) * p.channels;
    const int64_t place = row_in_window * p.window_width + i + p.pad_left - columns.begin * p.stride_across;
    if (rows.size() <= 0 || columns.size() <= 0)
      std::fill_n(dx, p.channels, T{0});
    else if (rows.size() == 1 && columns.size() == 1)
      gather_few<T, 1, 1>(p, dy + from, places + from, static_cast<int32_t>(place), dx);
    else if (rows.size() == 1 && columns.size() == 2)
      gather_few<T, 1, 2>(p, dy + from, places + from, static_cast<int32_t>(place), dx);
    else if (rows.size() == 2 && columns.size() == 1)
      gather_few<T, 2, 1>(p, dy + from, places + from, static_cast<int32_t>(place), dx);
    else if (rows.size() == 2 && columns.size() == 2)
      gather_few<T, 2, 2>(p, dy + from, places + from, static_cast<int32_t>(place), dx);
    else if (rows.size() == 3 && columns.size() == 3)
      gather_few<T, 3, 3>(p, dy + from, places + from, static_cast<int32_t>(place), dx);
    else
      gather_any(p, dy + from, places + from, rows.size(), columns.size(), place, dx);
  }
}

template <typename T>
MOX_INLINE void gather_lines(const Pooling& p, const T* dy, const Place* places, T* dx, int64_t begin, int64_t end) {
  for (int64_t l = begin; l < end; ++l) {
    const int64_t image = l / p.height * p.out_height * p.out_width * p.channels;
    gather_line(p, dy + image, places + image, l % p.height, dx + l * p.width * p.channels);
  }
}

}  // namespace

MOX_FOR_EACH_CPU void max_pool(const Pooling& p, const float* x, bool positive, float* y, Place* places, int64_t begin,
                               int64_t end) {
  max_lines(p, x, positive, y, places, begin, end);
}
MOX_FOR_EACH_CPU void max_pool(const Pooling& p, const bfloat16_bits* x, bool positive, bfloat16_bits* y, Place* places,
                               int64_t begin, int64_t end) {
  max_lines(p, x, positive, y, places, begin, end);
}

MOX_FOR_EACH_CPU void max_pool_gradient(const Pooling& p, const float* dy, const Place* places, float* dx,
                                        int64_t begin, int64_t end) {
  gather_lines(p, dy, places, dx, begin, end);
}
MOX_FOR_EACH_CPU void max_pool_gradient(const Pooling& p, const bfloat16_bits* dy, const Place* places,
                                        bfloat16_bits* dx, int64_t begin, int64_t end) {
  gather_lines(p, dy, places, dx, begin, end);
}

}  // namespace mox::kernels
