#include "optim/slot_optimizer.h"

#include "graph/graph_state.h"
#include "moxing/error.h"

namespace mox {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

Optimizer::~Optimizer() = default;

Scope on_variable_device(const Scope& scope, const Variable& variable) {
  return scope.with(scope.WithDevice(variable.handle.node()->requested_device()));
}

Variable create_unique_variable(const Scope& scope, const Variable& primary, const std::string& name,
                                const tf::TensorShape& shape, tf::DataType dtype, const Initializer& initializer) {
  GraphState& state = scope.state();
  std::string unique = name;
  for (int i = 1; state.variable_index.count(unique); ++i) unique = name + "_" + std::to_string(i);
  // Variables are created on the state's device; a slot must live beside its variable.
  const std::string device = std::exchange(state.variable_device, primary.handle.node()->requested_device());
  try {
    Variable variable = scope.without_variable_scope().get_variable_object(
        unique, shape, {.initializer = initializer, .trainable = false, .dtype = dtype});
    state.variable_device = device;
    return variable;
  } catch (...) {
    state.variable_device = device;
    throw;
  }
}

tf::Output as_dtype(const Scope& scope, const tf::Output& tensor, tf::DataType dtype) {
  return tensor.type() == dtype ? tensor : tf::Output(ops::Cast(scope, tensor, dtype));
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
  Variable created =
      create_unique_variable(scope, variable, variable.name + "/" + name_, variable.shape, variable.dtype, initializer);
  return slots_[{variable.name, key}] = created;
}

tf::Output SlotOptimizer::scalar(const Scope& scope, float value, tf::DataType dtype) const {
  return as_dtype(scope, ops::Const(scope, value), dtype);
}

tf::Output SlotOptimizer::rate(const Scope& scope, tf::DataType dtype) const {
  return as_dtype(scope, learning_rate_, dtype);
}

}  // namespace mox
