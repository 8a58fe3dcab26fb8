// Numbers of loops that are compiled with -O3: float, and bfloat16 as its bits, which is computed with as float.
#pragma once

#include <bit>
#include <cstdint>

#define MOX_INLINED __attribute__((always_inline))
#define MOX_INLINE inline MOX_INLINED

namespace mox::kernels {

MOX_INLINE float load(const float* p) { return *p; }
MOX_INLINE float load(const uint16_t* p) { return std::bit_cast<float>(static_cast<uint32_t>(*p) << 16); }
MOX_INLINE void store(float* p, float v) { *p = v; }
MOX_INLINE void store(uint16_t* p, float v) {
  const uint32_t bits = std::bit_cast<uint32_t>(v);
  const uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;  // to nearest, ties to even
  *p = static_cast<uint16_t>(v != v ? (bits >> 16) | 0x40 : rounded);   // a NaN stays one
}

}  // namespace mox::kernels
