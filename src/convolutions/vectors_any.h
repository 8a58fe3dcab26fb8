// Vectors of MOX_LANES floats, for files that are compiled for one instruction set: all is inside an anonymous
// namespace, see convolutions/loops_any.h.
#pragma once

#include <immintrin.h>

#include "convolutions/loops.h"

#define MOX_ALWAYS __attribute__((always_inline))
#define MOX_INLINE inline MOX_ALWAYS

namespace mox::convolutions {
namespace {

constexpr int64_t kWidth = MOX_LANES;
constexpr int64_t kColumns = 2 * kWidth;  // of a panel of a product's right side
using Vector = float __attribute__((vector_size(MOX_LANES * 4)));
using Bits = uint32_t __attribute__((vector_size(MOX_LANES * 4)));
using Halves = uint16_t __attribute__((vector_size(MOX_LANES * 2)));

// From and to any address: clang takes no smaller alignment from an attribute of the type.
MOX_INLINE Vector load(const float* p) {
  Vector v;
  __builtin_memcpy(&v, p, sizeof(v));
  return v;
}
MOX_INLINE Vector load(const bfloat16_bits* p) {
  Halves halves;
  __builtin_memcpy(&halves, p, sizeof(halves));
  return reinterpret_cast<Vector>(__builtin_convertvector(halves, Bits) << 16);
}
MOX_INLINE void store(float* p, Vector v) { __builtin_memcpy(p, &v, sizeof(v)); }

// As bfloat16, rounded to nearest, ties to even.
MOX_INLINE Halves rounded(Vector v) {
#if defined(__AVX512BF16__)
  return reinterpret_cast<Halves>(_mm512_cvtneps_pbh(reinterpret_cast<__m512>(v)));  // what is below 2^-126 is 0
#else
  const Bits bits = reinterpret_cast<Bits>(v), nan = bits >> 16 | 0x40;
  const Bits nearest = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  return __builtin_convertvector(v == v ? nearest : nan, Halves);
#endif
}
MOX_INLINE void store(bfloat16_bits* p, Vector v) {
  const Halves halves = rounded(v);
  __builtin_memcpy(p, &halves, sizeof(halves));
}

// A vector of numbers, and the first few lanes of one: the others are 0, and neither read nor written.
struct AllLanes {
  template <typename T>
  static MOX_INLINE Vector get(const T* p) {
    return load(p);
  }
  template <typename T>
  static MOX_INLINE void put(T* p, Vector v) {
    store(p, v);
  }
};
#if MOX_LANES == 16
class SomeLanes {
 public:
  explicit MOX_INLINE SomeLanes(int64_t count) : mask_(static_cast<__mmask16>((1 << count) - 1)) {}
  MOX_INLINE Vector get(const float* p) const { return reinterpret_cast<Vector>(_mm512_maskz_loadu_ps(mask_, p)); }
  MOX_INLINE Vector get(const bfloat16_bits* p) const {
    const __m256i halves = _mm256_maskz_loadu_epi16(mask_, p);
    return reinterpret_cast<Vector>(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
  }
  MOX_INLINE void put(float* p, Vector v) const { _mm512_mask_storeu_ps(p, mask_, reinterpret_cast<__m512>(v)); }
  MOX_INLINE void put(bfloat16_bits* p, Vector v) const {
    _mm256_mask_storeu_epi16(p, mask_, reinterpret_cast<__m256i>(rounded(v)));
  }

 private:
  __mmask16 mask_;
};
#else
class SomeLanes {
 public:
  explicit MOX_INLINE SomeLanes(int64_t count)
      : count_(count),
        mask_(_mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)),
                                 _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))) {}
  MOX_INLINE Vector get(const float* p) const { return reinterpret_cast<Vector>(_mm256_maskload_ps(p, mask_)); }
  MOX_INLINE Vector get(const bfloat16_bits* p) const {
    bfloat16_bits halves[kWidth] = {};
    for (int64_t i = 0; i < count_; ++i) halves[i] = p[i];
    return load(halves);
  }
  MOX_INLINE void put(float* p, Vector v) const { _mm256_maskstore_ps(p, mask_, reinterpret_cast<__m256>(v)); }
  MOX_INLINE void put(bfloat16_bits* p, Vector v) const {
    const Halves halves = rounded(v);
    for (int64_t i = 0; i < count_; ++i) p[i] = halves[i];
  }

 private:
  int64_t count_;
  __m256i mask_;
};
#endif

// These give the second argument where one is a NaN.
MOX_INLINE Vector larger(Vector a, Vector b) {
#if MOX_LANES == 16
  return reinterpret_cast<Vector>(_mm512_max_ps(reinterpret_cast<__m512>(a), reinterpret_cast<__m512>(b)));
#else
  return reinterpret_cast<Vector>(_mm256_max_ps(reinterpret_cast<__m256>(a), reinterpret_cast<__m256>(b)));
#endif
}
MOX_INLINE Vector smaller(Vector a, Vector b) {
#if MOX_LANES == 16
  return reinterpret_cast<Vector>(_mm512_min_ps(reinterpret_cast<__m512>(a), reinterpret_cast<__m512>(b)));
#else
  return reinterpret_cast<Vector>(_mm256_min_ps(reinterpret_cast<__m256>(a), reinterpret_cast<__m256>(b)));
#endif
}

MOX_INLINE Vector clamped(Vector v, float floor, float ceiling) {
  return smaller(ceiling + Vector{}, larger(floor + Vector{}, v));  // a NaN passes
}
MOX_INLINE Vector clamped(Vector v, const Epilogue& epilogue) { return clamped(v, epilogue.floor, epilogue.ceiling); }

}  // namespace
}  // namespace mox::convolutions
