// Which variables a loss trains.
#pragma once

#include <string>
#include <vector>

namespace mox {

// The indices of those `names` of trainable variables that are under one of `scopes` (none: all are) and pass the flags
// trainable_include_patterns and trainable_exclude_patterns. InvalidArgumentError for a pattern that is broken.
std::vector<size_t> trained_variables(const std::vector<std::string>& names, const std::vector<std::string>& scopes);

}  // namespace mox
