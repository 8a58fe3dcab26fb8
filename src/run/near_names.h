// Patterns that match no variable, and what was probably meant.
#pragma once

#include <string>
#include <vector>

#include "moxing/export.h"

namespace mox {

// "'logit5' matches none of the 54 variables; near are Logits, …" of the patterns (see matches_patterns) that match
// none of `names`; "" when each matches one.
MOX_EXPORT std::string unmatched_hint(const std::vector<std::string>& patterns, const std::vector<std::string>& names);

// "a, b, c and 12 more"
std::string shortened_names(const std::vector<std::string>& names);

}  // namespace mox
