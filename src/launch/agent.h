// The process that keeps the tasks of one host for `mox launch`: a child of it, or `mox launch --agent` behind ssh. Its
// tasks never outlive it by more than the grace: it ends them when the launcher is gone, they die when it is killed.
#pragma once

#include "launch/fd.h"

namespace mox::launch {

enum class AgentPlace { kSameHost, kOtherHost };

// Serves until `in` ends and all tasks are gone. Returns an exit code.
int run_agent(Fd in, Fd out, AgentPlace place);

// The same on standard input and output: what ssh starts.
int run_remote_agent();

}  // namespace mox::launch
