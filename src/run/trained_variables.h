// Which variables a loss trains.
#pragma once

#include <string>
#include <vector>

namespace mox {

// The indices of those `names` of trainable variables that are under one of `scopes` (none: all are) and pass the flags
// trainable_include_patterns and trainable_exclude_patterns, without those that match a pattern of `freeze` (the
// option). InvalidArgumentError for a pattern that is broken.
std::vector<size_t> trained_variables(const std::vector<std::string>& names, const std::vector<std::string>& scopes,
                                      const std::string& freeze);

// Says what `freeze` keeps from being trained, and which of the flags' patterns match none of `names`: all trainable
// variables of the model. InvalidArgumentError, with names that are near, when a pattern of `freeze` matches none.
void tell_frozen(const std::vector<std::string>& names, const std::string& freeze);

}  // namespace mox
