// Joins the gradients of all devices into the ones that the optimizer applies: a pass of its own on the built graph.
#pragma once

#include <string>
#include <vector>

#include "moxing/export.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace mox {

// The front end gives each variable an Identity, the slot, whose output the optimizer uses; the pass rewires its input.
struct GradientSlot {
  std::string slot;  // node name of the Identity
  std::string variable;
  std::vector<std::string> tower_gradients;  // tensors, one a device that has a gradient for the variable
  int loss = 0;                              // which of the model's losses
};

struct JoinOptions {
  int num_towers = 1;  // the mean is over all of them: a device without a gradient counts as zero
};

// slot := sum(tower_gradients) / num_towers, in the gradient's own dtype. The sum is taken in the order
// of the devices, so that a run can be repeated bit for bit.
MOX_EXPORT void join_gradients(tensorflow::GraphDef* graph, const std::vector<GradientSlot>& slots,
                               const JoinOptions& options);

}  // namespace mox
