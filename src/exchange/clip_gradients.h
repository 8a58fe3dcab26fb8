// Limits the joined gradients before the optimizer uses them: a pass on the built graph.
#pragma once

#include <string>
#include <vector>

#include "graph/built_graph.h"
#include "moxing/export.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace mox {

struct ClipOptions {
  double limit = 0;           // 0: off
  std::string type = "norm";  // norm: each gradient's Euclidean norm; global_norm: that of all gradients of a loss
                              // together; value: each element
};

// After the exchange.
MOX_EXPORT void clip_gradients(tensorflow::GraphDef* graph, const std::vector<GradientSlot>& slots,
                               const ClipOptions& options);

}  // namespace mox
