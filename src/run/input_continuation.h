// A resumed training reads its input on from where it was.
#pragma once

#include "graph/built_graph.h"
#include "input/input_position.h"
#include "run/checkpoint_loader.h"
#include "run/engine_session.h"

namespace mox {

// Adds to a TRAIN graph what checkpoints keep of the input: the seeds of the data sets' orders (input_order_seed), and
// how many samples the training has taken (input_place), however many each step had: with several workers those of all,
// each of which is taken to have had as many as this one. Nothing when no data set can tell its place.
void add_input_order(BuiltGraph* graph, bool several_workers);
// After loading: feeds the place and the seeds where `checkpoint` is this training's own; forgets those of another.
void continue_input(BuiltGraph* graph, LoadedCheckpoint* checkpoint);
// With several workers, once the variables have the group's state: feeds this worker's share of the input from where
// that stands (share.first is filled in), the seeds of the orders, and `group_seed` for shuffles that have none.
void take_share(BuiltGraph* graph, EngineSession* session, input_position::Share share, int64_t group_seed);

}  // namespace mox
