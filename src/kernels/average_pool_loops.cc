#include <algorithm>

#include "base/for_each_cpu.h"
#include "kernels/pool_lines.h"
#include "kernels/pool_loops.h"

// Compiled with -O3 (src/CMakeLists.txt): the loops over channels become vector instructions of each set. A sum over
// the windows of a place is one of their columns first, then one of these: three numbers and three for nine windows.
namespace mox::kernels {
namespace {

// Numbers of a line whose sums are held at once.
constexpr int64_t kNumbersAtOnce = 512;
constexpr int kMostTerms = 3;  // that the compiler adds in registers
constexpr int64_t kCacheLine = 64;

// sums = (kMore: sums +) the sum of x[k * stride] * scales[k], kTerms of them.
template <typename T, int kTerms, bool kMore>
MOX_INLINE void add_terms(const T* __restrict x, int64_t stride, const float* scales, int64_t count,
                          float* __restrict sums) {
  for (int64_t i = 0; i < count; ++i) {
    float sum = load(x + i) * scales[0];
#pragma GCC unroll 3
    for (int k = 1; k < kTerms; ++k) sum += load(x + k * stride + i) * scales[k];
    sums[i] = kMore ? sums[i] + sum : sum;
  }
}

template <typename T, bool kMore>
MOX_INLINE void add_some(const T* x, int64_t stride, int64_t terms, const float* scales, int64_t count, float* sums) {
  if (terms == 1)
    add_terms<T, 1, kMore>(x, stride, scales, count, sums);
  else if (terms == 2)
    add_terms<T, 2, kMore>(x, stride, scales, count, sums);
  else
    add_terms<T, 3, kMore>(x, stride, scales, count, sums);
}

// The sum of lines x[k * stride] of `count` numbers, each scaled; of none 0.
template <typename T>
MOX_INLINE void sum_lines(const T* x, int64_t stride, Span lines, const float* scales, int64_t count, float* sums) {
  if (lines.size() <= 0) return std::fill_n(sums, count, 0.f), void();
  for (int64_t first = 0; first < count; first += kNumbersAtOnce) {
    const int64_t numbers = std::min(kNumbersAtOnce, count - first);
    for (int64_t k = lines.begin; k < lines.end; k += kMostTerms) {
      const int64_t terms = std::min<int64_t>(kMostTerms, lines.end - k);
      const T* from = x + k * stride + first;
      if (k == lines.begin)
        add_some<T, false>(from, stride, terms, scales + k, numbers, sums + first);
      else
        add_some<T, true>(from, stride, terms, scales + k, numbers, sums + first);
    }
  }
}

// One place of the result of kTerms of a line.
template <typename T, int kTerms>
MOX_INLINE void sum_few(const float* __restrict x, const float* scales, int64_t channels, T* __restrict y) {
  for (int64_t c = 0; c < channels; ++c) {
    float sum = x[c] * scales[0];
#pragma GCC unroll 3
    for (int k = 1; k < kTerms; ++k) sum += x[k * channels + c] * scales[k];
    store(y + c, sum);
  }
}

template <typename T>
MOX_INLINE void sum_places(const float* line, Span places, const float* scales, int64_t channels, T* y) {
  const float* x = line + places.begin * channels;
  scales += places.begin;
  if (places.size() == 1) return sum_few<T, 1>(x, scales, channels, y);
  if (places.size() == 2) return sum_few<T, 2>(x, scales, channels, y);
  if (places.size() == 3) return sum_few<T, 3>(x, scales, channels, y);
  float sums[kChannelsAtOnce];
  for (int64_t first = 0; first < channels; first += kChannelsAtOnce) {
    const int64_t count = std::min(kChannelsAtOnce, channels - first);
    sum_lines(x + first, channels, {0, places.size()}, scales, count, sums);
    for (int64_t c = 0; c < count; ++c) store(y + first + c, sums[c]);
  }
}

template <typename T>
MOX_INLINE void average_gradient_lines(const Pooling& p, const T* dy, T* dx, float* scratch, int64_t begin,
                                       int64_t end) {
  for (int64_t o = 0; o < p.out_height; ++o) scratch[o] = 1.f / static_cast<float>(down(p).seen(o).size());
  for (int64_t o = 0; o < p.out_width; ++o)
    scratch[p.out_height + o] = 1.f / static_cast<float>(across(p).seen(o).size());
  const float *scales_down = scratch, *scales_across = scratch + p.out_height;
  const auto behind = reinterpret_cast<uintptr_t>(scales_across + p.out_width);
  auto* sums = reinterpret_cast<float*>((behind + kCacheLine - 1) / kCacheLine * kCacheLine);
  const int64_t line = p.out_width * p.channels;
  for (int64_t l = begin; l < end; ++l) {
    const Span rows = down(p).windows(l % p.height);
    sum_lines(dy + l / p.height * p.out_height * line, line, rows, scales_down, line, sums);
    T* to = dx + l * p.width * p.channels;
    for (int64_t i = 0; i < p.width; ++i, to += p.channels) {
      const Span places = across(p).windows(i);
      if (places.size() > 0)
        sum_places(sums, places, scales_across, p.channels, to);
      else
        std::fill_n(to, p.channels, T{0});
    }
  }
}

}  // namespace

int64_t average_pool_scratch(const Pooling& p) {
  return p.out_width * p.channels + p.out_width + p.out_height + kCacheLine / 4;
}

MOX_FOR_EACH_CPU void average_pool_gradient(const Pooling& p, const float* dy, float* dx, float* scratch, int64_t begin,
                                            int64_t end) {
  average_gradient_lines(p, dy, dx, scratch, begin, end);
}
MOX_FOR_EACH_CPU void average_pool_gradient(const Pooling& p, const bfloat16_bits* dy, bfloat16_bits* dx,
                                            float* scratch, int64_t begin, int64_t end) {
  average_gradient_lines(p, dy, dx, scratch, begin, end);
}

}  // namespace mox::kernels
