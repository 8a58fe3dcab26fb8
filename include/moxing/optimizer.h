// Optimizers: what turns gradients into new values of the variables.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "moxing/export.h"
#include "moxing/scope.h"

namespace mox {

struct GradientAndVariable {
  tensorflow::Output gradient;
  Variable variable;
};

// Builds update operations. An instance belongs to one graph.
class MOX_EXPORT Optimizer {
 public:
  virtual ~Optimizer();
  // Adds the operations that apply the gradients, and the slot variables that they need, named
  // `<variable>/<slot>` as tf.train's optimizers name them. Returns one operation a variable and what else must run
  // in a step.
  virtual std::vector<tensorflow::Operation> apply_gradients(const Scope& scope,
                                                             const std::vector<GradientAndVariable>& gradients) = 0;
  // The learning rate of the current step, a float scalar: for logs and summaries.
  virtual tensorflow::Output learning_rate() const = 0;
};

// Called once, after model_fn was built for every device.
using OptimizerFn = std::function<std::unique_ptr<Optimizer>(const Scope& scope)>;

}  // namespace mox
