// Compiled for AVX-512 with its products of bfloat16 (src/CMakeLists.txt). All is inside an anonymous namespace, as in
// convolutions/loops_any.h.
#if defined(__x86_64__)
#include <immintrin.h>

#define MOX_LANES 16
#define MOX_ROWS 12
#include "convolutions/loops_any.h"

#define MOX_INLINE inline __attribute__((always_inline))

namespace mox::convolutions {
namespace {

MOX_INLINE Vector add_products(Vector sums, uint32_t pair, __m512i pairs) {
  return reinterpret_cast<Vector>(_mm512_dpbf16_ps(
      reinterpret_cast<__m512>(sums), reinterpret_cast<__m512bh>(_mm512_set1_epi32(static_cast<int>(pair))),
      reinterpret_cast<__m512bh>(pairs)));
}

template <int64_t kHeight, int64_t kVectors>
MOX_INLINE void multiply_pairs_block(const PairProduct& p, int64_t row, int64_t column) {
  Vector sums[kHeight][kVectors];
  for (int64_t r = 0; r < kHeight; ++r)
    for (int64_t v = 0; v < kVectors; ++v) sums[r][v] = Vector{};
  const uint32_t* left = p.left + row * p.left_row;
  const uint32_t* right = p.right + column / kColumns * p.right_panel;
  const int64_t left_row = p.left_row;
  for (int64_t d = 0; d < p.pairs; ++d) {
    __m512i b[kVectors];
    for (int64_t v = 0; v < kVectors; ++v) b[v] = _mm512_loadu_si512(right + v * kWidth);
#pragma GCC unroll 16
    for (int64_t r = 0; r < kHeight; ++r) {
      const uint32_t a = left[r * left_row];
      for (int64_t v = 0; v < kVectors; ++v) sums[r][v] = add_products(sums[r][v], a, b[v]);
    }
    left += p.left_pair;
    right += p.right_pair;
  }
  float* to = p.product + row * p.product_row + column;
  for (int64_t r = 0; r < kHeight; ++r, to += p.product_row)
    for (int64_t v = 0; v < kVectors; ++v)
      store(to + v * kWidth, p.add ? load(to + v * kWidth) + sums[r][v] : sums[r][v]);
}

template <int64_t kVectors, int64_t kHeight = kRows>
MOX_INLINE void multiply_pairs_rows(const PairProduct& p, int64_t row, int64_t rows, int64_t column) {
  if (rows == kHeight) return multiply_pairs_block<kHeight, kVectors>(p, row, column);
  if constexpr (kHeight > 1) multiply_pairs_rows<kVectors, kHeight - 1>(p, row, rows, column);
}

void multiply_pairs(const PairProduct& p) {
  const int64_t groups = (p.rows + kRows - 1) / kRows;
  for (int64_t column = 0; column < p.columns; column += kColumns)
    for (int64_t g = 0; g < groups; ++g) {
      const int64_t row = p.rows * g / groups, rows = p.rows * (g + 1) / groups - row;
      if (p.columns - column > kWidth)
        multiply_pairs_rows<2>(p, row, rows, column);
      else
        multiply_pairs_rows<1>(p, row, rows, column);
    }
}

void interleave(const bfloat16_bits* first, const bfloat16_bits* second, int64_t count, uint32_t* to) {
  for (int64_t i = 0; i < count; i += kWidth) {
    const __m512i low = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(first + i)));
    const __m512i high = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(second + i)));
    _mm512_storeu_si512(to + i, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
  }
}

}  // namespace
}  // namespace mox::convolutions

const mox::convolutions::ConvolutionLoops* mox::convolutions::convolution_loops_avx512_bfloat16() {
  static constexpr ConvolutionLoops kWithPairs = [] {
    ConvolutionLoops loops = kLoops;
    loops.multiply_pairs = multiply_pairs;
    loops.interleave = interleave;
    return loops;
  }();
  return &kWithPairs;
}
#endif
