// A pass that lets updates of variables find nobody else at the variable.
//
// An update copies the variable first when somebody still holds what was read of it before: for a fully connected
// layer, the gradient of its input may run beside the update. The pass lets each update wait for the operations that
// take the value in a step, so that it changes the variable where it is.
#pragma once

#include "graph/built_graph.h"
#include "moxing/export.h"

namespace mox {

// Returns how many updates wait now.
MOX_EXPORT int update_variables_in_place(BuiltGraph* graph);

}  // namespace mox
