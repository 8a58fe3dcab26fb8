// EXPORT: as passes/fold_batch_norm.h, for programs that have no operation of ours. Nothing may be computed of the
// weights in each request (that costs as much as is won), so the exported values change: weights are scaled once, and
// batch norm's variables become those of the network that has these weights:
//   w' = w * f    b' = 0    mean' = (mean - b) * f    variance' = scale^2 - epsilon    scale' = |scale|
// with f = scale / sqrt(variance + epsilon). All variables stay, under their names. The model computes
// conv(x, w') + (offset - mean'); a network with batch norm that is given these values computes the same, since its
// factor is 1, and trains on as it would have from the values before (but for epsilon, and for channels whose scale is
// below its root).
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "graph/built_graph.h"
#include "moxing/export.h"
#include "tensorflow/core/framework/tensor.h"

namespace mox {

// `values`: by the variables' names; those that change are other tensors afterwards. Left alone is what somebody else
// reads. Returns how many. MOX_FOLD_BATCH_NORM=0 switches it off, to compare.
MOX_EXPORT int fold_into_variables(BuiltGraph* graph, std::vector<std::pair<std::string, tensorflow::Tensor>>* values);

}  // namespace mox
