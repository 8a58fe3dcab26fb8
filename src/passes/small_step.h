// Steps that run in the thread that asks for them. A step of a few small operations: threads that hand them to each
// other cost more than they bring.
#pragma once

#include "graph/built_graph.h"

namespace mox {

// Where the training's step is small, lets it run in the thread that asks for it (BuiltGraph::in_callers_thread) and
// the input pipeline in threads of its own. Not where input_fn chose threads for itself.
void run_small_step_in_callers_thread(BuiltGraph* graph);

// The same of a step on one device of EVAL or PREDICT, of any size: its operations come one after the other, and each
// of them computes in all threads (devices/step_threads.h).
void run_forward_step_in_callers_thread(BuiltGraph* graph);

}  // namespace mox
