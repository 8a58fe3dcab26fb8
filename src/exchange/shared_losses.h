// Losses of the weights alone are computed once for all CPU devices.
#pragma once

#include "tensorflow/core/framework/graph.pb.h"

namespace mox {

// Each device's model has a term for each of its weights (L2 regularization), and CPU devices read the same variables:
// who took another device's term takes that of the first. Returns how many terms are not computed any more.
int share_losses_of_weights(tensorflow::GraphDef* graph);

}  // namespace mox
