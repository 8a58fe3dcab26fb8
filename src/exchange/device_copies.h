// A copy of the variables on each device: a pass on a TRAIN graph for several GPUs.
#pragma once

#include "devices/device_plan.h"
#include "graph/built_graph.h"

namespace mox {

// After all operations have their devices, and plan.variables() is the first tower's. What the optimizer does with the
// joined gradients is done on each device, with its copies of the weights and of the optimizer's state; each device
// computes with its own. The first device has the variables themselves, which checkpoints, evaluations and summaries
// know; all copies get the same gradients and so stay the same. `graph->renew_copies` makes them so again after the
// variables got other values.
//
// A variable that something else in a step writes, too (an assignment of the user's), stays one: devices read it where
// it is.
void copy_to_devices(BuiltGraph* graph, const DevicePlan& plan);

}  // namespace mox
