// What this process has used.
#pragma once

#include "moxing/export.h"

namespace mox {

// Of all its cores, user's and system's.
MOX_EXPORT double cpu_seconds();
// MiB that it held at most.
MOX_EXPORT double peak_mib();

}  // namespace mox
