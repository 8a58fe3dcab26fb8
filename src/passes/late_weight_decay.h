// A pass that makes training need less memory.
//
// The gradient of a weight decay, weight * factor, needs nothing but the weight: TensorFlow computes all of them at the
// begin of a step and holds them, as large as all weights together, until the other part of each gradient is there. The
// pass lets each wait for that part.
#pragma once

#include "moxing/export.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace mox {

// Returns how many products wait now.
MOX_EXPORT int delay_weight_decay(tensorflow::GraphDef* graph);

}  // namespace mox
