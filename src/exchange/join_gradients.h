// Joins the gradients of all devices into the ones that the optimizer applies: a pass of its own on the built graph.
#pragma once

#include <string>
#include <vector>

#include "graph/built_graph.h"
#include "moxing/export.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace mox {

struct JoinOptions {
  int num_towers = 1;  // the mean is over all of them: a device without a gradient counts as zero
};

// slot := sum(tower_gradients) / num_towers, in the gradient's own dtype. The sum is taken in the order
// of the devices, so that a run can be repeated bit for bit.
MOX_EXPORT void join_gradients(tensorflow::GraphDef* graph, const std::vector<GradientSlot>& slots,
                               const JoinOptions& options);

}  // namespace mox
