// Copies the input to the GPUs ahead of the step that trains on it.
//
// A step takes its batches from a buffer on the device (Unstage), and while it computes, the next ones are taken from
// the iterator and copied there (Stage). All of it is part of the graph, so that nothing else need know: the first
// batches are staged when the iterator is made; a step that has none, because the iterator ended a step before, reads
// the iterator once more and ends with the error that every run ends with. Counted are the batches that were trained
// on: a resumed run reads again what was staged and not used.
#pragma once

#include "devices/device_plan.h"
#include "graph/built_graph.h"

namespace mox {

// Integers, strings and truths are staged on the host: labels above all, which are checked there.
void stage_input(BuiltGraph* graph, const DevicePlan& plan);

}  // namespace mox
