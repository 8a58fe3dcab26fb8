// What passes that compute in float32 inside 16 bit graphs share.
#pragma once

#include <initializer_list>

#include "tensorflow/core/framework/graph.pb.h"

namespace mox {

// The node computes in float32, from casts of `inputs` (what is a cast of float32 values itself is taken before it is
// rounded), and a cast back takes its name: who reads it need not know. Its attribute T is bfloat16.
void compute_in_float32(tensorflow::GraphDef* graph, int node, std::initializer_list<int> inputs);

}  // namespace mox
