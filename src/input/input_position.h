// Where a training stands in its input, and in which order that is read: fed when iterators are made.
//
// A data set whose order is a function of a seed and a place has two placeholders with these names (with a prefix and a
// number, when a graph has several). They are fed with 0 and with the seed, unless a training is resumed.
#pragma once

#include <string>
#include <string_view>

namespace mox::input_position {

inline constexpr char kFirstSample[] = "mox_first_sample";
inline constexpr char kOrderSeed[] = "mox_order_seed";

// `node` is such a placeholder: its own name, without scopes, begins with `name`.
inline bool is(std::string_view node, std::string_view name) {
  const size_t slash = node.rfind('/');
  return (slash == std::string_view::npos ? node : node.substr(slash + 1)).rfind(name, 0) == 0;
}

}  // namespace mox::input_position
