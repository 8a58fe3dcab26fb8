#pragma once

#include "moxing/export.h"

namespace mox {

// "0.1.0": the version of the library that is loaded.
MOX_EXPORT const char* version();

}  // namespace mox
