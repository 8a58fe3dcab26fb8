// Compiled for AVX-512 with its products of bfloat16 (src/CMakeLists.txt). All is inside an anonymous namespace, as in
// convolutions/loops_any.h.
#if defined(__x86_64__)
#include <immintrin.h>

#define MOX_LANES 16
#define MOX_ROWS 12
#include "convolutions/loops_any.h"

namespace mox::convolutions {
namespace {

struct Pairs {
  using Element = uint32_t;
  using Right = __m512i;
  static MOX_INLINE Right load_right(const uint32_t* p) { return _mm512_loadu_si512(p); }
  static MOX_INLINE Vector add_products(Vector sums, uint32_t left, Right right) {
    const __m512i lefts = _mm512_set1_epi32(static_cast<int>(left));
    return reinterpret_cast<Vector>(_mm512_dpbf16_ps(reinterpret_cast<__m512>(sums), reinterpret_cast<__m512bh>(lefts),
                                                     reinterpret_cast<__m512bh>(right)));
  }
};

void multiply_pairs(const PairProduct& p) { multiply_any<Pairs>(p, OneLine{}); }

void interleave(const bfloat16_bits* from, int64_t from_row, int64_t rows, int64_t columns, uint32_t* to,
                int64_t to_row) {
  for (int64_t i = 0; i < rows; i += 2, from += 2 * from_row, to += to_row) {
    const bfloat16_bits* second = from + (i + 1 < rows ? from_row : 0);
    const __mmask16 has_second = i + 1 < rows ? 0xffff : 0;
    for (int64_t j = 0; j < columns; j += kWidth) {
      const auto mask = static_cast<__mmask16>(columns - j >= kWidth ? 0xffff : (1 << (columns - j)) - 1);
      const __m512i low = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, from + j));
      const __m512i high = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask & has_second, second + j));
      _mm512_storeu_si512(to + j, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
    }
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
