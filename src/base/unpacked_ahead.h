// gzip files that are unpacked before somebody asks for them: while TensorFlow's libraries are loaded, one core is
// free.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "moxing/export.h"

namespace mox {

struct UnpackedBytes {
  std::unique_ptr<char[]> data;
  size_t size = 0;
};

// Begins to unpack the local file at `path` in a thread, and returns at once. One file at a time: nothing when another
// waits to be taken, or the file is not there.
MOX_EXPORT void unpack_ahead(const std::string& path);

// What unpack_ahead makes of the file with this very path, once; waits until it is ready. Nothing when it was not
// called, and when the file is not one gzip stream, whole: who unpacks it then tells why.
MOX_EXPORT std::optional<UnpackedBytes> take_unpacked(const std::string& path);

}  // namespace mox
