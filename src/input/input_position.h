// Where a training stands in its input, and in which order that is read: fed when iterators are made.
//
// A data set whose order is a function of a seed and a place has placeholders with these names (with a prefix and a
// number, when a graph has several). They are fed with 0 and with the seed, unless a training is resumed.
//
// With several workers the samples are one row that is dealt out in blocks: to worker 0, to worker 1, …, to worker 0.
// So a step's batches, those of the workers side by side, are what one process with as many devices would take, and a
// place in the row means the same whatever the number of workers. Which blocks are a worker's is in kShare.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mox::input_position {

inline constexpr char kFirstSample[] = "mox_first_sample";
inline constexpr char kOrderSeed[] = "mox_order_seed";
// int64[4], see Share. Data sets that are dealt out have it in place of kFirstSample.
inline constexpr char kShare[] = "mox_share";
// int64 scalar: the seed of shuffles that all workers must do alike, another one in each run.
inline constexpr char kGroupSeed[] = "mox_group_seed";

// The place in the row of a worker's own sample p is first + ((p / block) * workers + worker) * block + p % block.
struct Share {
  int64_t first = 0;  // place in the row where the dealing begins
  int64_t worker = 0, workers = 1;
  int64_t block = 1;  // samples
};

// `node` is such a placeholder: its own name, without scopes, begins with `name`.
inline bool is(std::string_view node, std::string_view name) {
  const size_t slash = node.rfind('/');
  return (slash == std::string_view::npos ? node : node.substr(slash + 1)).rfind(name, 0) == 0;
}

}  // namespace mox::input_position
