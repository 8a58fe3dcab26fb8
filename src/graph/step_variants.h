// Several ways to do one step in one graph, so that a run can try them with one state, one input and one session.
#pragma once

#include <string>
#include <unordered_set>

#include "graph/built_graph.h"
#include "moxing/export.h"

namespace mox {

// After everything else has added its nodes: for each variant copies of what depends on the tensors that it replaces,
// under its name. Variables, and all that does not depend on these tensors, are the same for all.
MOX_EXPORT void add_step_variants(BuiltGraph* graph);

// Of one variant, copies of those nodes alone that `within` has; graph->variants has no part in it.
MOX_EXPORT void add_copies(tensorflow::GraphDef* graph, const std::unordered_set<std::string>& within,
                           StepVariant* variant);

// A tensor or operation of the first way, as `variant` has it.
MOX_EXPORT std::string in_variant(const StepVariant& variant, const std::string& name);

}  // namespace mox
