// Loss scaling: passes on the built graph. The front end multiplies each loss by one Const, the scale, and gives each
// device's raw gradients an Identity each; what stands between is rewired here.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "graph/built_graph.h"
#include "moxing/export.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace mox {

// gradient := gradient / scale.
MOX_EXPORT void unscale_gradients(tensorflow::GraphDef* graph, const ScaledGradients& scaled, double scale);

struct DynamicLossScaleOptions {
  double initial = 32768;
  int64_t growth_steps = 2000;  // good steps after which the scale doubles
  std::string global_step;      // node name of the variable's handle: for the log
  std::string increment;        // op that runs in every step, after the optimizer: the global step's
  // From the node that says whether this process's gradients are finite to the one that decides: see Exchange.
  std::function<std::string(const std::string&)> all_finite;
};

// A variable that a pass added: state that belongs into checkpoints.
struct AddedVariable {
  std::string name;  // also of the handle's node
  std::string initializer;
  tensorflow::DataType dtype;
};

struct DynamicLossScale {
  std::vector<AddedVariable> variables;
  // Tensors ("node", "node:1") that are dead in a skipped step, and what to fetch in their place.
  std::map<std::string, std::string> fetchable;
};

// The scale becomes a variable. In a step that all_finite does not count, all gradients are dead (see Switch): the
// optimizer does nothing, nor do the other updates among `train_ops` (moving averages); `increment` still runs, the
// scale halves, and a log line says so. A step that is not finite at a scale of 1 fails. Ops that must run in each step
// go to `train_ops`.
MOX_EXPORT DynamicLossScale make_loss_scale_dynamic(tensorflow::GraphDef* graph, const ScaledGradients& scaled,
                                                    const DynamicLossScaleOptions& options,
                                                    std::vector<std::string>* train_ops);

}  // namespace mox
