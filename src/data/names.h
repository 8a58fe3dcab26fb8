// Lists of names in messages.
#pragma once

#include <string>
#include <vector>

namespace mox::data {

// "a, b, c".
std::string join_names(const std::vector<std::string>& names);

}  // namespace mox::data
