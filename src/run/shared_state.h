// One process's variables become those of all.
#pragma once

#include "cluster/ring.h"
#include "run/engine_session.h"

namespace mox {

// The values that the process of rank `source` has, in all sessions: of the same graph. A process whose exchange fails
// keeps its own, all of them. What the ring throws.
void share_variables(EngineSession* session, cluster::Ring* ring, int source);

}  // namespace mox
