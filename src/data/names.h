// Lists of names, and large numbers, in messages.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "moxing/export.h"

namespace mox::data {

// "1,234,567".
MOX_EXPORT std::string with_commas(int64_t number);

// "a, b, c".
std::string join_names(const std::vector<std::string>& names);

}  // namespace mox::data
