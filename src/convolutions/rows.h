// The rows of a result, pixels [rows, channels], in parts, and who looks at them while they are still in the cache.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>

namespace mox::convolutions {

// As many parts whatever the threads, so that sums over them do not depend on these. Parts begin at multiples of
// kUnit, so that products of matrices have few rows left over.
struct RowParts {
  static constexpr int64_t kUnit = 12, kFewest = 96, kMost = 64;
  int64_t rows, parts;

  explicit RowParts(int64_t all) : rows(all), parts(std::clamp<int64_t>(all / kFewest, 1, kMost)) {}
  int64_t begin(int64_t part) const {
    return part == parts ? rows : (rows + kUnit - 1) / kUnit * part / parts * kUnit;
  }
};

// Called with rows [begin, end) of a part as soon as they are written, by the thread that wrote them, a part's rows
// from its first to its last.
struct RowsDone {
  std::function<void(int64_t part, int64_t begin, int64_t end)> call;  // empty: nobody looks
  // What is read beside them, each of the result's type and size or null: fetched ahead.
  const void* reads[3] = {};
};

}  // namespace mox::convolutions
