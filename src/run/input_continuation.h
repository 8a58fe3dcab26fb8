// A resumed training reads its input on from where it was.
#pragma once

#include "run/built_graph.h"
#include "run/checkpoint_loader.h"

namespace mox {

// Adds to a TRAIN graph the variable that keeps the seeds of the data sets' orders, so that checkpoints have them. None
// when no data set can tell its place.
void add_input_order(BuiltGraph* graph);
// After loading: feeds the place and the seeds where `checkpoint` is this training's own; forgets those of another.
void continue_input(BuiltGraph* graph, LoadedCheckpoint* checkpoint);

}  // namespace mox
