// EVAL and PREDICT: a convolution and the batch norm behind it, which only scales and shifts its channels there, become
// one convolution with a bias:
//   (conv(x, w) + b - mean) * f + offset = conv(x, w * f) + (b - mean) * f + offset,  f = scale / sqrt(variance +
//   epsilon)
// so that TensorFlow joins it with the residual's sum and the ReLU after it. An operation of ours makes weights and
// bias of the variables, which stay what they are, and keeps them as long as nothing is assigned to these.
#pragma once

#include <string>

#include "graph/built_graph.h"
#include "moxing/export.h"

namespace mox {

// Returns how many. MOX_FOLD_BATCH_NORM=0 switches it off, to compare.
MOX_EXPORT int fold_batch_norm(BuiltGraph* graph);

}  // namespace mox
