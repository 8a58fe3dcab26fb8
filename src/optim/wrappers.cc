// The table of wrappers: a new one is its factory, its check and a line here.
#include "optim/wrappers.h"

#include "graph/graph_state.h"
#include "moxing/error.h"
#include "tensorflow/cc/ops/no_op.h"

namespace mox {

namespace {

struct Entry {
  const char* name;
  WrapperFactory wrap;
  void (*check)(const OptimizerWrapperOptions&);
};

// clang-format off
constexpr Entry kWrappers[] = {  // sorted: an error lists them in this order
    {"batch_gradients", wrap_batch_gradients, check_batch_gradients},
    {"dgc", wrap_dgc, check_dgc},
    {"lars", wrap_lars, check_lars},
};
// clang-format on

}  // namespace

std::vector<std::string> optimizer_wrapper_names() {
  std::vector<std::string> names;
  for (const Entry& entry : kWrappers) names.push_back(entry.name);
  return names;
}

OptimizerFn get_optimizer_wrapper_fn(const std::string& name, OptimizerFn optimizer,
                                     const OptimizerWrapperOptions& options) {
  std::string known;
  for (const Entry& entry : kWrappers) {
    known += std::string(known.empty() ? "" : ", ") + entry.name;
    if (name != entry.name) continue;
    if (!optimizer)
      throw InvalidArgumentError("get_optimizer_wrapper_fn: the optimizer to wrap in '" + name +
                                 "' is an empty function; pass what get_optimizer_fn returns");
    entry.check(options);
    return [wrap = entry.wrap, optimizer = std::move(optimizer), options](const Scope& scope) {
      return wrap(optimizer(scope), options);
    };
  }
  throw InvalidArgumentError("get_optimizer_wrapper_fn: unknown wrapper '" + name + "'; there are: " + known);
}

std::vector<GradientAndVariable> LocalStateWrapper::prepare_gradients(
    const Scope& scope, const std::vector<GradientAndVariable>& gradients) {
  if (!before_join_) return inner().prepare_gradients(scope, gradients);
  prepared_ = preparing_ = true;
  const auto changed = transform(scope, gradients, &updates_);
  preparing_ = false;
  return inner().prepare_gradients(scope, changed);
}

std::vector<tensorflow::Operation> LocalStateWrapper::apply_gradients(
    const Scope& scope, const std::vector<GradientAndVariable>& gradients) {
  const auto changed = prepared_ ? gradients : transform(scope, gradients, &updates_);
  std::vector<tensorflow::Operation> operations = inner().apply_gradients(scope, changed);
  finish(scope, &operations);
  check(scope, "building the wrapper of an optimizer");
  operations.insert(operations.end(), updates_.begin(), updates_.end());
  updates_.clear();
  return operations;
}

Variable LocalStateWrapper::state_variable(const Scope& scope, const Variable& variable, const std::string& name,
                                           const tensorflow::TensorShape& shape, tensorflow::DataType dtype) {
  // A scope does not tell its device; an operation made in it does.
  const std::string device =
      preparing_ ? tensorflow::ops::NoOp(scope).operation.node()->requested_device() : device_of(variable);
  Variable created = create_unique_variable(scope, device, name, shape, dtype, zeros_initializer());
  if (preparing_) scope.state().text_collections["local_variables"].push_back(created.name);
  return created;
}

Scope LocalStateWrapper::state_scope(const Scope& scope, const Variable& variable) const {
  return preparing_ ? scope : on_variable_device(scope, variable);
}

}  // namespace mox
