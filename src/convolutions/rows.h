// The rows of a result, pixels [rows, channels], in parts, and who looks at them while they are still in the cache.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>

namespace mox::convolutions {

// As many parts whatever the threads, so that sums over them do not depend on these. Parts begin at multiples of `unit`
// rows: a line of an image, or so many that products of matrices have few rows left over.
struct RowParts {
  static constexpr int64_t kUnit = 12, kFewest = 96, kMost = 64;
  int64_t rows, unit, parts;

  explicit RowParts(int64_t all, int64_t of = kUnit)
      : rows(all),
        unit(std::max<int64_t>(of, 1)),
        parts(std::clamp<int64_t>(all / kFewest, 1, std::clamp<int64_t>(units(), 1, kMost))) {}
  int64_t units() const { return (rows + unit - 1) / unit; }
  int64_t begin(int64_t part) const { return part == parts ? rows : units() * part / parts * unit; }
};

// Called with rows [begin, end) of a part as soon as they are there, by the thread that made them, a part's rows from
// its first to its last.
struct RowsDone {
  // `rows`: of the result's type, one behind the other; while it is called. Empty: nobody looks.
  std::function<void(int64_t part, int64_t begin, int64_t end, const void* rows)> call;
  // What is read or written beside them, each of the result's type and size or null: fetched ahead.
  const void* reads[3] = {};
};

}  // namespace mox::convolutions
