// Puts each operation of a graph for GPUs where it belongs. model_fn and its gradients stand on their towers already;
// everything else that a front end, the exchange or a pass made has no device, and the runtime would put it on a GPU
// wherever that has a kernel: counters, learning rates, the input pipeline.
#pragma once

#include "devices/device_plan.h"
#include "graph/built_graph.h"
#include "moxing/export.h"

namespace mox {

// - The model's variables and the optimizer's state: plan.variables(). Those of integers (the global step, counters)
// and
//   the engine's own (loss scale, hooks): the host. With a variable goes what uses its handle, reads and updates above
//   all, and what a front end colocated with it, on whatever device it was made.
// - Summaries, and what has no device: the host. A constant goes to the first that reads it.
MOX_EXPORT void place_on_devices(BuiltGraph* graph, const DevicePlan& plan);

}  // namespace mox
