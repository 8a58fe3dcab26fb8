// A pass that joins an update by momentum with the weight decay of its gradient: var * decay is a number for each
// weight that is written, read and added, in two operations of their own.
//
//   ResourceApplyMomentum(var, accum, lr, AddN(gradient, var * decay), momentum), float32, one reader each,
//   where nothing else in the graph writes var
//
// What is updated gets the same bits.
#pragma once

#include <set>
#include <string>

#include "moxing/export.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace mox {

// Returns how many updates were joined. `initializers`: names of nodes that no step runs. Environment
// MOX_DECAYED_UPDATES=0: none (to compare).
MOX_EXPORT int join_weight_decay(tensorflow::GraphDef* graph, const std::set<std::string>& initializers);

}  // namespace mox
