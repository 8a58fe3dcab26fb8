#include "optim/slot_optimizer.h"

#include "graph/graph_state.h"
#include "moxing/error.h"

namespace mox {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

Optimizer::~Optimizer() = default;

std::vector<GradientAndVariable> Optimizer::prepare_gradients(const Scope&,
                                                              const std::vector<GradientAndVariable>& gradients) {
  return gradients;
}

std::string device_of(const Variable& variable) { return variable.handle.node()->requested_device(); }

Scope on_variable_device(const Scope& scope, const Variable& variable) {
  return scope.with(scope.WithDevice(device_of(variable)));
}

Variable create_unique_variable(const Scope& scope, const std::string& device, const std::string& name,
                                const tf::TensorShape& shape, tf::DataType dtype, const Initializer& initializer) {
  GraphState& state = scope.state();
  std::string unique = name;
  for (int i = 1; state.variable_index.count(unique) || state.taken_names.count(unique); ++i)
    unique = name + "_" + std::to_string(i);
  // The state's device is for the model's variables.
  const std::string before = std::exchange(state.variable_device, device);
  try {
    Variable variable = scope.without_variable_scope().get_variable_object(
        unique, shape, {.initializer = initializer, .trainable = false, .dtype = dtype});
    state.variable_device = before;
    return variable;
  } catch (...) {
    state.variable_device = before;
    throw;
  }
}

tf::Output as_dtype(const Scope& scope, const tf::Output& tensor, tf::DataType dtype) {
  return tensor.type() == dtype ? tensor : tf::Output(ops::Cast(scope, tensor, dtype));
}

tf::Output euclidean_norm(const Scope& scope, const tf::Output& tensor) {
  // L2Loss is half the sum of squares, in one kernel.
  return ops::Sqrt(scope, ops::Multiply(scope, ops::L2Loss(scope, as_dtype(scope, tensor, tf::DT_FLOAT)), 2.f));
}

tf::Output trust_ratio(const Scope& scope, const tf::Output& weights, const tf::Output& step) {
  const tf::Output both = ops::LogicalAnd(scope, ops::Greater(scope, weights, 0.f), ops::Greater(scope, step, 0.f));
  return ops::SelectV2(scope, both, ops::DivNoNan(scope, weights, step), 1.f);
}

SlotOptimizer::SlotOptimizer(std::string name, const Scope& scope, const LearningRate& learning_rate)
    : name_(std::move(name)), learning_rate_(learning_rate.build(scope)) {}

std::vector<tf::Operation> SlotOptimizer::apply_gradients(const Scope& scope,
                                                          const std::vector<GradientAndVariable>& gradients) {
  if (gradients.empty())
    throw InvalidArgumentError("optimizer " + name_ +
                               ": there is no gradient to apply: no trainable variable takes part in the loss; check "
                               "var_scopes, trainable_include_patterns and trainable_exclude_patterns");
  const Scope top = scope.with(scope.NewSubScope(name_));
  prepare(top, gradients);
  std::vector<tf::Operation> updates;
  for (const auto& [gradient, variable] : gradients) {
    const Scope at = on_variable_device(top.with(top.NewSubScope("update_" + variable.name)), variable);
    updates.push_back(update(at, as_dtype(at, gradient, variable.dtype), variable));
    check(scope, "optimizer " + name_ + ": building the update of variable " + variable.name);
  }
  finish(top, &updates);
  check(scope, "optimizer " + name_);
  return updates;
}

Variable SlotOptimizer::slot(const Scope& scope, const Variable& variable, const std::string& key,
                             const Initializer& initializer) {
  auto found = slots_.find({variable.name, key});
  if (found != slots_.end()) return found->second;
  Variable created = create_unique_variable(scope, device_of(variable), variable.name + "/" + name_, variable.shape,
                                            variable.dtype, initializer);
  return slots_[{variable.name, key}] = std::move(created);
}

tf::Output SlotOptimizer::scalar(const Scope& scope, float value, tf::DataType dtype) const {
  return as_dtype(scope, ops::Const(scope, value), dtype);
}

tf::Output SlotOptimizer::rate(const Scope& scope, tf::DataType dtype) const {
  return as_dtype(scope, learning_rate_, dtype);
}

}  // namespace mox
