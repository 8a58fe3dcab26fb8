// The names of variables that are exponential moving averages of others, as TensorFlow's ExponentialMovingAverage has
// them. See run/model_ema.h.
#pragma once

#include <string>

#include "moxing/export.h"

namespace mox {

// "conv1/weights" -> "conv1/weights/ExponentialMovingAverage".
MOX_EXPORT std::string average_name(const std::string& variable);
// The other way; "" for a name that is no average's.
MOX_EXPORT std::string averaged_variable(const std::string& average);

}  // namespace mox
