// A pass for variables that lie in checkpoints as pieces and are computed with as a whole, see graph/split_variables.h.
//
// Each variable costs a session some 50 KB in nodes, and their copies: resnext_b_101's 10,560 pieces, with their slots,
// took as much memory as the training itself. The pass makes one variable of them, and one of each of their slots.
#pragma once

#include "graph/built_graph.h"
#include "moxing/export.h"

namespace mox {

// Joins variables that are concatenated along their last dimension, where all that happens to them happens to each
// element for itself: reads, initial values, moving averages, the optimizers of TensorFlow's Resource-Apply kernels.
// graph->variables stay, in their order and under their names, with the whole's handle and initializer
// (graph/variable_pieces.h). What reads a single piece reads a part of the whole. Returns how many variables the graph
// has no more.
MOX_EXPORT int join_pieces(BuiltGraph* graph);

}  // namespace mox
