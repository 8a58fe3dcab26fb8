// What the loops of pooling share: numbers, and how windows lie. For files that are compiled with -O3.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/numbers.h"
#include "kernels/pool_loops.h"

namespace mox::kernels {

// A range of indices.
struct Span {
  int64_t begin, end;
  int64_t size() const { return end - begin; }
};

// How windows lie on one side of an image.
struct Side {
  int64_t size, out_size, window, stride, pad;

  // The places of the image in window `o`.
  MOX_INLINE Span seen(int64_t o) const {
    const int64_t first = o * stride - pad;
    return {std::max<int64_t>(first, 0), std::min(first + window, size)};
  }
  // The windows in which place `i` of the image is.
  MOX_INLINE Span windows(int64_t i) const {
    const int64_t last = i + pad, before = last - window;  // before: the last start of a window that ends before i
    return {before < 0 ? 0 : before / stride + 1, std::min(last / stride + 1, out_size)};
  }
};

MOX_INLINE Side down(const Pooling& p) { return {p.height, p.out_height, p.window_height, p.stride_down, p.pad_top}; }
MOX_INLINE Side across(const Pooling& p) { return {p.width, p.out_width, p.window_width, p.stride_across, p.pad_left}; }

// Channels whose sums are held at once where the number of their terms is not known to the compiler.
constexpr int64_t kChannelsAtOnce = 64;

}  // namespace mox::kernels
