// Vectors of MOX_LANES floats, for files that are compiled for one instruction set: all is inside an anonymous
// namespace, see convolutions/loops_any.h.
#pragma once

#include "convolutions/loops.h"

#define MOX_ALWAYS __attribute__((always_inline))
#define MOX_INLINE inline MOX_ALWAYS

namespace mox::convolutions {
namespace {

constexpr int64_t kWidth = MOX_LANES;
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
  const Bits bits = reinterpret_cast<Bits>(v), nan = bits >> 16 | 0x40;
  const Bits nearest = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  return __builtin_convertvector(v == v ? nearest : nan, Halves);
}
MOX_INLINE void store(bfloat16_bits* p, Vector v) {
  const Halves halves = rounded(v);
  __builtin_memcpy(p, &halves, sizeof(halves));
}

MOX_INLINE Vector clamped(Vector v, const Epilogue& epilogue) {
  v = v < epilogue.floor ? epilogue.floor + Vector{} : v;  // in this order a NaN passes
  return v > epilogue.ceiling ? epilogue.ceiling + Vector{} : v;
}

}  // namespace
}  // namespace mox::convolutions
