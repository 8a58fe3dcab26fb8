// A variable that the engine adds to a built graph: state of a run that belongs into its checkpoints.
#pragma once

#include <string>

#include "graph/built_graph.h"

namespace mox {

// With its initializer; a checkpoint may lack it. Its handle has the same name. Returns that.
std::string add_state_variable(BuiltGraph* graph, const std::string& name, const tensorflow::Tensor& initial);

}  // namespace mox
