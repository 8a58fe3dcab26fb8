// A pass that joins batch norm in training with what surrounds it: the ReLU or ReLU6 after it, the residual added in
// between, their gradients, and the sum of the gradients that arrive. One pass over memory replaces two or three
// (src/kernels/batch_norm_ops.cc); the results are the same but for rounding.
//
//   relu(batch_norm(x))  and  relu(batch_norm(x) + shortcut), [batch, height, width, channels], float32 or bfloat16
//
// Nodes that somebody else reads keep their names and stay: what is no longer needed is never run.
#pragma once

#include "moxing/export.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace mox {

// Returns how many batch norms were joined. Environment MOX_FUSE_BATCH_NORM=0: none (to compare).
MOX_EXPORT int fuse_batch_norm(tensorflow::GraphDef* graph);

// The same, afterwards, of batch norm that no ReLU follows, with what is added to it: a linear bottleneck's, a
// shortcut's, a cell's of NASNet.
MOX_EXPORT int take_lone_batch_norms(tensorflow::GraphDef* graph);

}  // namespace mox
