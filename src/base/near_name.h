// "did you mean": for names that nobody knows.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "moxing/export.h"

namespace mox {

// The one of `known` that `name` was probably meant to be, "" where none is near: the fewest letters added, left out,
// changed or swapped with their neighbour (Damerau, 1964), at most a third of the name's; letters' case counts nothing.
MOX_EXPORT std::string nearest_name(std::string_view name, const std::vector<std::string>& known);

// "; did you mean 'x'?", or "".
MOX_EXPORT std::string did_you_mean(std::string_view name, const std::vector<std::string>& known);

}  // namespace mox
