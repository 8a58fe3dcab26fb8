// A factor on the learning rate that hooks may change between steps: a pass on the built graph.
#pragma once

#include "graph/built_graph.h"
#include "moxing/export.h"

namespace mox {

inline constexpr char kLearningRateFactor[] = "learning_rate_factor";  // a variable of the model, 1 at first

// Everything that used one of the graph's learning rates uses it times the factor. InvalidArgumentError when the graph
// knows no learning rate: `who` needs it. Nothing where it has one already.
MOX_EXPORT void add_learning_rate_factor(BuiltGraph* graph, const char* who = "PlateauLREarlyStoppingHook");
bool has_learning_rate_factor(const BuiltGraph& graph);

}  // namespace mox
