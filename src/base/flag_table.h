// The table of flags.
#pragma once

#include <vector>

#include "moxing/flags.h"

namespace mox {

// Order is that of `mox flags`.
const std::vector<FlagInfo>& flag_table();

}  // namespace mox
