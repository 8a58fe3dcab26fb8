// mox launch: starts the processes of a cluster, passes on what they print, and ends them all.
#pragma once

#include "launch/options.h"

namespace mox::launch {

// Returns when nothing runs any more: 0; the exit code of the task that failed first (128 + N when signal N killed it);
// 128 + N when signal N stopped the launcher. InvalidArgumentError before anything is started. Descriptors 0, 1 and 2
// must be open, if only to /dev/null.
int launch(const Options& options);

}  // namespace mox::launch
