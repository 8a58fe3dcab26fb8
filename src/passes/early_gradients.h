// Gradients are finished in the order of the backward pass, for steps that exchange them while it still runs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "moxing/export.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace mox {

// TensorFlow's executor goes on with what continues the backward pass, and puts what ends in one gradient (a
// convolution's filters) on a stack: the gradients of the last layers, which the others wait for first, came last of
// all. Control edges let what continues wait for the gradient beside it: with one thread at each layer, with `threads`
// of them so many layers later, so that all have work. The same operations run, on the same values.
// `gradients`: tensors that leave the backward pass; those that are dead in some steps, and graphs with loops, stay as
// they are. Returns the number of edges.
MOX_EXPORT int finish_gradients_early(tensorflow::GraphDef* graph, const std::vector<std::string>& gradients,
                                      int64_t threads);

}  // namespace mox
