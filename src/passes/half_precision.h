// use_fp16: the costly operations compute in 16 bits. A pass on the built graph.
#pragma once

#include "moxing/export.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace mox {

// Convolutions and matrix products of float32, and their gradients, take and give float16; a Cast on either side keeps
// everything else, variables above all, as it was. (TensorFlow's own rewriting, auto_mixed_precision_cpu, throws
// std::out_of_range on graphs with dropout or softmax cross entropy.)
MOX_EXPORT void compute_in_half_precision(tensorflow::GraphDef* graph);

}  // namespace mox
