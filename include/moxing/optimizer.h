// Optimizers: what turns gradients into new values of the variables.
#pragma once

#include <concepts>
#include <cstddef>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
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
  // What a worker does with its own gradients before they are joined with the other workers': accumulate, make sparse.
  // The default returns them as they are. At most one call a tower, before apply_gradients; where it was not called,
  // apply_gradients does that work on what it gets. Gradients may come back dead (see tensorflow::ops::Switch) in steps
  // in which nothing is to be joined and applied. State that it needs is on the scope's device, named in the graph's
  // text collection "local_variables": every worker initialises its own.
  virtual std::vector<GradientAndVariable> prepare_gradients(const Scope& scope,
                                                             const std::vector<GradientAndVariable>& gradients);
  // The learning rate of the current step, a float scalar: for logs and summaries.
  virtual tensorflow::Output learning_rate() const = 0;
};

// Called once, after model_fn was built for every device.
using OptimizerFn = std::function<std::unique_ptr<Optimizer>(const Scope& scope)>;

// One for all losses, or a list: one a loss.
class OptimizerFns {
 public:
  OptimizerFns(std::nullptr_t = nullptr) {}
  OptimizerFns(OptimizerFn one) {
    if (one) functions_.push_back(std::move(one));
  }
  template <typename F>  // a lambda
  requires(std::is_invocable_r_v<std::unique_ptr<Optimizer>, F, const Scope&>) OptimizerFns(F one)
      : OptimizerFns(OptimizerFn(std::move(one))) {}
  OptimizerFns(std::initializer_list<OptimizerFn> functions) : functions_(functions) {}
  OptimizerFns(std::vector<OptimizerFn> functions) : functions_(std::move(functions)) {}

  const std::vector<OptimizerFn>& all() const { return functions_; }
  explicit operator bool() const { return !functions_.empty(); }

 private:
  std::vector<OptimizerFn> functions_;
};

// A number, a float scalar of the graph, or a schedule that builds one when the optimizer is made.
class MOX_EXPORT LearningRate {
 public:
  using Schedule = std::function<tensorflow::Output(const Scope& scope)>;

  template <typename T>
  requires std::is_arithmetic_v<T> LearningRate(T value) : LearningRate(constant(static_cast<float>(value))) {}
  template <typename T>
  requires std::convertible_to<T, tensorflow::Output> LearningRate(const T& tensor) : LearningRate(existing(tensor)) {}
  LearningRate(Schedule schedule);
  template <typename F>  // a lambda
  requires(std::is_invocable_r_v<tensorflow::Output, F, const Scope&>) LearningRate(F schedule)
      : LearningRate(Schedule(std::move(schedule))) {}

  // The tensor, in the graph of `scope`. InvalidArgumentError when a tensor is not a float scalar.
  tensorflow::Output build(const Scope& scope) const;

 private:
  static Schedule constant(float value);
  static Schedule existing(const tensorflow::Output& tensor);

  Schedule schedule_;
};

// What each optimizer reads is in its line; the others ignore it. Defaults are TensorFlow's.
struct OptimizerOptions {
  std::optional<float> momentum = {};              // momentum: 0.9; rmsprop: 0
  bool use_nesterov = false;                       // momentum: look ahead
  float beta1 = 0.9f;                              // adam, adamw, lamb: decay of the first moment
  float beta2 = 0.999f;                            // adam, adamw, lamb: decay of the second moment
  std::optional<float> epsilon = {};               // adam, adadelta: 1e-8; adamw, lamb: 1e-7; rmsprop: 1e-10
  float rho = 0.95f;                               // adadelta: decay
  float decay = 0.9f;                              // rmsprop: decay of the mean square
  bool centered = false;                           // rmsprop: normalise by the variance
  float initial_accumulator_value = 0.1f;          // adagrad, ftrl
  float learning_rate_power = -0.5f;               // ftrl: at most 0
  float l1_regularization_strength = 0;            // ftrl
  float l2_regularization_strength = 0;            // ftrl
  float l2_shrinkage_regularization_strength = 0;  // ftrl
  std::optional<float> weight_decay = {};          // adamw: 0.004; lamb: 0; decoupled from the gradient
  // adamw, lamb: variables whose name contains a match of one of these regular expressions are not decayed.
  std::vector<std::string> exclude_from_weight_decay = {};
};

// The optimizer `name`, MoXing's or a registered one. InvalidArgumentError that lists the known ones for another name.
MOX_EXPORT OptimizerFn get_optimizer_fn(const std::string& name, LearningRate learning_rate,
                                        const OptimizerOptions& options = {});
// The fields of OptimizerOptions that MoXing's optimizer `name` reads; all of them for a registered one.
// InvalidArgumentError as get_optimizer_fn's.
MOX_EXPORT std::vector<std::string> optimizer_option_names(const std::string& name);
// The names that get_optimizer_fn knows, sorted.
MOX_EXPORT std::vector<std::string> optimizer_names();

// Makes an optimizer in the graph of `scope`; each reads of the options what it needs.
using OptimizerFactory = std::function<std::unique_ptr<Optimizer>(const Scope& scope, const LearningRate& learning_rate,
                                                                  const OptimizerOptions& options)>;
// From then on get_optimizer_fn, --optimizer and Python know `name`; most derive from SlotOptimizer (slot_optimizer.h).
// From any thread. InvalidArgumentError when the name is taken (it tells by whom) or cannot be one, or `make` is empty.
MOX_EXPORT void register_optimizer(const std::string& name, OptimizerFactory make);

struct OptimizerWrapperOptions {
  // lars: gradient := ratio * |w| / (|g| + weight_decay * |w|) * (g + weight_decay * w), for each variable.
  float ratio = 0.001f;
  float weight_decay = 0;            // then leave it out of the loss
  bool skip_one_dimensional = true;  // biases and the parameters of batch norm keep their gradient

  // batch_gradients: the mean gradient of num_batches steps is applied in the last of them; needed, 1 or more.
  int64_t num_batches = 0;
  bool sync_on_apply = false;  // each worker accumulates alone; workers join only when they apply

  // dgc: the part of each gradient's elements that stays behind, an epoch each; the last one holds.
  std::vector<float> sparsity_strategy = {0.75f, 0.9375f, 0.984375f, 0.996f, 0.999f};
  int64_t num_samples = 0;              // with global_batch_size: how many steps an epoch has;
  int64_t global_batch_size = 0;        // without, the last sparsity holds from the start
  float momentum = 0.9f;                // of the correction; the wrapped optimizer should then be sgd
  bool use_nesterov = false;            // the correction's kind
  bool momentum_factor_masking = true;  // what was sent starts with a fresh momentum
};

// The optimizer that `optimizer` makes, inside the wrapper `name` (batch_gradients, dgc, lars). Wrappers nest.
// InvalidArgumentError that lists the known ones for another name.
MOX_EXPORT OptimizerFn get_optimizer_wrapper_fn(const std::string& name, OptimizerFn optimizer,
                                                const OptimizerWrapperOptions& options = {});
// The names that get_optimizer_wrapper_fn knows, sorted.
MOX_EXPORT std::vector<std::string> optimizer_wrapper_names();

}  // namespace mox
