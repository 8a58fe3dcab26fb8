// batch_gradients: the mean gradient of several steps is applied in the last of them, as one larger batch would be.
//
// The inner optimizer's operations depend on gradients that come through a Switch: in the other steps they are dead,
// and TensorFlow skips them with everything that depends on them (slots, powers, other wrappers).
#include "moxing/error.h"
#include "optim/wrappers.h"
#include "tensorflow/cc/ops/control_flow_ops.h"

namespace mox {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

namespace {

tf::DataType accumulator_type(tf::DataType dtype) { return dtype == tf::DT_DOUBLE ? tf::DT_DOUBLE : tf::DT_FLOAT; }

class BatchGradients : public LocalStateWrapper {
 public:
  BatchGradients(std::unique_ptr<Optimizer> inner, int64_t num_batches, bool sync_on_apply)
      : LocalStateWrapper(std::move(inner), sync_on_apply), num_batches_(num_batches) {}

 protected:
  std::vector<GradientAndVariable> transform(const Scope& parent, const std::vector<GradientAndVariable>& gradients,
                                             std::vector<tf::Operation>* updates) override {
    if (gradients.empty()) return {};
    const Scope scope = parent.with(parent.NewSubScope("BatchGradients"));
    count(scope, gradients, updates);
    std::vector<GradientAndVariable> means;
    for (const auto& [gradient, variable] : gradients)
      means.push_back({accumulate(state_scope(scope, variable), gradient, variable, updates), variable});
    return means;
  }

  void finish(const Scope& parent, std::vector<tf::Operation>* inner_updates) override {
    const Scope scope = parent.with(parent.NewSubScope("BatchGradients"));
    const Scope at = on_variable_device(scope, counter_);
    // One operation that is alive in every step: what depends on the updates (the global step) must go on.
    const ops::Switch branch(at, counter_.value, is_last_);
    const tf::Output applied = ops::Identity(at.WithControlDependencies(*inner_updates), branch.output_true);
    const tf::Output waited = ops::Identity(at, branch.output_false);
    *inner_updates = {ops::Merge(at, {waited, applied}).output.op()};
  }

 private:
  // The step's place in its group, once for all towers.
  void count(const Scope& scope, const std::vector<GradientAndVariable>& gradients,
             std::vector<tf::Operation>* updates) {
    if (!counter_.name.empty()) return;
    counter_ = state_variable(scope, gradients[0].variable, "batch_gradients_step", {}, tf::DT_INT64);
    const Scope at = state_scope(scope, gradients[0].variable);
    is_first_ = ops::Equal(at, counter_.value, ops::Const<int64_t>(at, 0));
    is_last_ = ops::Equal(at, counter_.value, ops::Const<int64_t>(at, num_batches_ - 1));
    // With the gradients: a step that the engine skips (it makes them dead) does not count.
    std::vector<tf::Operation> ready;
    for (const auto& pair : gradients) ready.push_back(pair.gradient.op());
    const Scope after = at.with(at.WithControlDependencies(ready));
    const tf::Output next = ops::SelectV2(after, is_last_, ops::Const<int64_t>(after, 0),
                                          ops::Add(after, counter_.value, ops::Const<int64_t>(after, 1)));
    updates->push_back(ops::AssignVariableOp(after, counter_.handle, next).operation);
  }

  tf::Output accumulate(const Scope& scope, const tf::Output& gradient, const Variable& variable,
                        std::vector<tf::Operation>* updates) {
    const tf::DataType dtype = accumulator_type(variable.dtype);
    const Variable sum = state_variable(scope, variable, variable.name + "/BatchGradients", variable.shape, dtype);
    const tf::Output added = as_dtype(scope, gradient, dtype);
    // The first gradient of a group replaces what is left of the group before.
    const tf::Output total = ops::SelectV2(scope, is_first_, added, ops::Add(scope, sum.value, added));
    updates->push_back(ops::AssignVariableOp(scope, sum.handle, total).operation);
    const tf::Output whole = ops::Switch(scope, total, is_last_).output_true;
    const tf::Output size = as_dtype(scope, ops::Const(scope, static_cast<float>(num_batches_)), dtype);
    return as_dtype(scope, ops::Div(scope, whole, size), variable.dtype);
  }

  const int64_t num_batches_;
  Variable counter_;
  tf::Output is_first_, is_last_;
};

}  // namespace

void check_batch_gradients(const OptimizerWrapperOptions& options) {
  if (options.num_batches < 1)
    throw InvalidArgumentError("batch_gradients: num_batches is " + std::to_string(options.num_batches) +
                               ", expected the number of steps whose gradients are joined (1 or more)");
}

std::unique_ptr<Optimizer> wrap_batch_gradients(std::unique_ptr<Optimizer> inner,
                                                const OptimizerWrapperOptions& options) {
  return std::make_unique<BatchGradients>(std::move(inner), options.num_batches, options.sync_on_apply);
}

}  // namespace mox
