// A resumed training reads its input on from where it was.
#pragma once

#include "graph/built_graph.h"
#include "run/checkpoint_loader.h"

namespace mox {

// Adds to a TRAIN graph what checkpoints keep of the input: the seeds of the data sets' orders (input_order_seed), and
// how many samples the training has taken (input_place), however many each step had. Nothing when no data set can tell
// its place.
void add_input_order(BuiltGraph* graph);
// After loading: feeds the place and the seeds where `checkpoint` is this training's own; forgets those of another.
void continue_input(BuiltGraph* graph, LoadedCheckpoint* checkpoint);

}  // namespace mox
