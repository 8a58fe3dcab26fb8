// The header of NumPy's .npy files: what they say of themselves is checked before anything is sized by it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mox::cli {

struct NpyHeader {
  std::string descr;           // "<f4"
  std::vector<int64_t> shape;  // each size at least 1
  int64_t values = 1;          // their product
  int64_t data_at = 0;         // where the values begin, in bytes
};

constexpr int64_t kMostNpyHeader = 65536;  // bytes, with what stands before it

// `begin` is the first kMostNpyHeader bytes of the file `path`, or all of it. DataError that says what is wrong.
NpyHeader parse_npy_header(std::string_view begin, const std::string& path);

// DataError: "PATH is no .npy array that can be read: WHY".
[[noreturn]] void reject_npy(const std::string& path, const std::string& why);

}  // namespace mox::cli
