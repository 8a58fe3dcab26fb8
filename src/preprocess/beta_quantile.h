// The symmetric beta distribution, for draws that are functions of one uniform number.
#pragma once

#include <vector>

#include "moxing/export.h"

namespace mox::preprocess {

// The quantiles of Beta(alpha, alpha) at 0, 1/(count-1), …, 1. alpha above 0, count at least 2.
MOX_EXPORT std::vector<float> beta_quantiles(double alpha, int count);

}  // namespace mox::preprocess
