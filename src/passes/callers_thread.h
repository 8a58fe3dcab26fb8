// Steps that run in the thread that asks for them, their operations one after the other, and the input pipeline in
// threads of its own.
#pragma once

#include "graph/built_graph.h"
#include "moxing/export.h"

namespace mox {

// A training's step (BuiltGraph::in_callers_thread), on one device: where it is small, since threads that hand a few
// small operations to each other cost more than they bring; and where it convolves and each operation computes in all
// threads (devices/step_threads.h; `threads` of them): two at once would share these and the caches. Not where input_fn
// chose threads for itself.
MOX_EXPORT void run_training_step_in_callers_thread(BuiltGraph* graph, int threads);

// The same of a step on one device of EVAL or PREDICT, whatever it computes.
void run_forward_step_in_callers_thread(BuiltGraph* graph);

}  // namespace mox
