// Which hooks of a graph run, and which of several devices act as one.
#pragma once

#include <memory>
#include <vector>

#include "graph/built_graph.h"

namespace mox {

// One hook; or those that the devices' model_fn made in the same place, with support_aggregation.
using HookGroup = std::vector<std::shared_ptr<SessionRunHook>>;

// Whether a hook that model_fn made runs; `inter`: the model_fn of inter_mode.
MOX_EXPORT bool hook_runs(const SessionRunHook& hook, bool inter);

// In the order of the devices, then of ModelSpec.hooks, then those of inter_mode. InvalidArgumentError when a hook
// needs an inter_mode that there is not, or when devices have different hooks.
std::vector<HookGroup> group_hooks(const BuiltGraph& graph);

}  // namespace mox
