// An array file may tell anything of itself: it is understood, or refused with a DataError; what is understood has
// sizes that can be multiplied.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "engine/npy_header.h"
#include "moxing/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  // Whole, and as a header alone: the mutations need not find the frame again each time.
  const std::string framed =
      std::string("\x93NUMPY\x01\0", 8) + static_cast<char>(size & 0xff) + static_cast<char>(size >> 8 & 0xff) + bytes;
  for (const std::string& file : {bytes, framed}) {
    try {
      const mox::cli::NpyHeader header = mox::cli::parse_npy_header(file, "a.npy");
      int64_t values = 1;
      for (const int64_t side : header.shape)
        if (side < 1 || __builtin_mul_overflow(values, side, &values)) std::abort();
      if (values != header.values || header.data_at < 10 || header.data_at > static_cast<int64_t>(file.size()))
        std::abort();
    } catch (const mox::DataError& e) {
      if (std::string(e.what()).size() > 2000) std::abort();  // it shows the beginning
    }
  }
  return 0;
}
