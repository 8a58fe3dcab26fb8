// The graph that user functions build: a tensorflow::Scope that also knows variables, collections and their scopes.
//
// tensorflow::Scope names and places operations; mox::Scope adds what TF 1 called the variable scope: get_variable
// shares variables between towers, collections gather losses and updates, var_scope forces a dtype. A mox::Scope is a
// tensorflow::Scope, so every operation of tensorflow/cc/ops takes it as it is.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "moxing/export.h"
#include "tensorflow/cc/framework/scope.h"
#include "tensorflow/core/framework/tensor_shape.h"
#include "tensorflow/core/framework/types.h"

namespace mox {

class Scope;
class GraphState;

// Builds the initial value of a variable of this shape and dtype. See initializers.h.
using Initializer =
    std::function<tensorflow::Output(const Scope&, const tensorflow::TensorShape&, tensorflow::DataType)>;

// Well-known collections; the names are TF 1's.
namespace collections {
inline constexpr char kGlobalVariables[] = "variables";
inline constexpr char kTrainableVariables[] = "trainable_variables";
inline constexpr char kRegularizationLosses[] = "regularization_losses";
inline constexpr char kLosses[] = "losses";
inline constexpr char kUpdateOps[] = "update_ops";
inline constexpr char kSummaries[] = "summaries";
}  // namespace collections

// A variable of the graph. Copies refer to the same variable.
struct MOX_EXPORT Variable {
  std::string name;                   // "LeNet/conv1/weights"
  tensorflow::Output handle;          // the resource
  tensorflow::Output value;           // a read of it, made where it was created
  tensorflow::Operation initializer;  // assigns the initial value
  tensorflow::TensorShape shape;
  tensorflow::DataType dtype = tensorflow::DT_FLOAT;
  bool trainable = true;
};

struct VariableOptions {
  Initializer initializer;  // default: zeros (glorot uniform for two dimensions and more)
  bool trainable = true;    // false: no gradient (moving averages)
  float weight_decay = 0;   // > 0: weight_decay * sum(v^2)/2 joins REGULARIZATION_LOSSES
  tensorflow::DataType dtype = tensorflow::DT_FLOAT;
};

// Copyable, cheap. All scopes of one graph share its state; a graph is built by one thread.
class MOX_EXPORT Scope : public tensorflow::Scope {
 public:
  // A new, empty graph.
  static Scope new_root();

  // Variables and operations named `name/…`; a second use in the same place reuses the variable scope's name
  // (operations get a fresh one), as tf.variable_scope does.
  Scope var_scope(const std::string& name) const;
  // Variables inside are created as `force_dtype`; get_variable returns a cast to the dtype that was asked for
  // (16-bit computation on 32-bit variables).
  Scope var_scope(tensorflow::DataType force_dtype) const;
  // Operations named `name/…`, placed on `device` when that is not empty; variables are not affected. A tower.
  Scope tower(const std::string& name, const std::string& device) const;
  // Variable names count from the top, dtypes are not forced, and what is there is found: for slots of optimizers and
  // the global step.
  Scope without_variable_scope() const;
  // get_variable returns what exists, and never creates.
  Scope reuse_variables() const;

  // The variable `<variable scope>/name`, created or, in a scope that reuses, found; the value to compute with (cast
  // from force_dtype where that is set). InvalidArgumentError when it exists with another shape or is missing, and when
  // a device asks for it a second time without reuse_variables(): two layers of one name would be one.
  tensorflow::Output get_variable(const std::string& name, const tensorflow::TensorShape& shape,
                                  const VariableOptions& options = {}) const;
  // The same, as the variable itself (for assignments).
  Variable get_variable_object(const std::string& name, const tensorflow::TensorShape& shape,
                               const VariableOptions& options = {}) const;

  // Adds to / reads a collection of this tower. Tensors made in another tower are not seen.
  void add_to_collection(const std::string& key, const tensorflow::Output& tensor) const;
  std::vector<tensorflow::Output> get_collection(const std::string& key) const;

  const std::string& variable_scope_name() const { return variable_scope_; }
  bool reuses_variables() const { return reuse_; }
  // Seed for a random op made here: the graph's seed and a count, so that a graph built again is the same. 0, 0 when
  // the graph has no seed.
  std::pair<int64_t, int64_t> next_seed() const;
  GraphState& state() const { return *state_; }

  // `*this` with the base class replaced: control dependencies, op names, colocation.
  Scope with(const tensorflow::Scope& base) const;

 private:
  Scope(const tensorflow::Scope& base, std::shared_ptr<GraphState> state)
      : tensorflow::Scope(base), state_(std::move(state)) {}

  std::shared_ptr<GraphState> state_;
  std::string variable_scope_;
  std::string tower_;
  bool reuse_ = false, finds_ = false;
  std::optional<tensorflow::DataType> force_dtype_;
};

// Throws Error with what the graph refused while it was built (a shape that does not fit, a missing input).
MOX_EXPORT void check(const Scope& scope, const std::string& what);

// The int64 variable `global_step`, created when missing: counts the updates of the model, over restarts.
MOX_EXPORT Variable get_or_create_global_step(const Scope& scope);
// All variables, in the order of their creation.
MOX_EXPORT std::vector<Variable> global_variables(const Scope& scope);
// The sizes that are known while the graph is built, -1 for the others; InvalidArgumentError when not even the rank is.
MOX_EXPORT std::vector<int64_t> static_shape(const Scope& scope, const tensorflow::Output& tensor);
// This tower's collection: the manual's mox.get_collection.
MOX_EXPORT std::vector<tensorflow::Output> get_collection(const Scope& scope, const std::string& key);
// A scalar for TensorBoard, written every save_summary_steps.
MOX_EXPORT void scalar_summary(const Scope& scope, const std::string& tag, const tensorflow::Output& value);

}  // namespace mox
