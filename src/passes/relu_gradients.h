// A pass that lets training forget what a ReLU was made of.
//
// TensorFlow's C++ gradient of ReLU and ReLU6 looks at what went into them, Python's at what came out: the signs that
// matter are the same. With the former a step holds both, as large as each other, of every layer until its backward
// pass; with the latter a ReLU may be computed in place, and as a part of the convolution before it.
#pragma once

#include "moxing/export.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace mox {

// Returns how many gradients look at the output now.
MOX_EXPORT int take_relu_gradients_of_outputs(tensorflow::GraphDef* graph);

}  // namespace mox
