// What the built-in optimizers share: the learning rate, slot variables, names, devices. Private to the engine.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "moxing/initializers.h"
#include "moxing/optimizer.h"

namespace mox {

// `scope` with its operations placed where `variable` lives.
Scope on_variable_device(const Scope& scope, const Variable& variable);

// A variable on `device`, not trainable, `name` made unique by _1, _2, … as TF 1 does.
Variable create_unique_variable(const Scope& scope, const std::string& device, const std::string& name,
                                const tensorflow::TensorShape& shape, tensorflow::DataType dtype,
                                const Initializer& initializer);
// Where `variable` lives.
std::string device_of(const Variable& variable);

// `tensor` in `dtype`, cast where needed.
tensorflow::Output as_dtype(const Scope& scope, const tensorflow::Output& tensor, tensorflow::DataType dtype);

// The Euclidean norm as a float scalar, whatever the dtype: 16-bit sums of squares overflow.
tensorflow::Output euclidean_norm(const Scope& scope, const tensorflow::Output& tensor);
// weights / step, 1 where either norm is 0 (a fresh variable, no gradient).
tensorflow::Output trust_ratio(const Scope& scope, const tensorflow::Output& weights, const tensorflow::Output& step);

// One update a variable, then what a whole step needs. Derived classes build the update.
class SlotOptimizer : public Optimizer {
 public:
  // `name` is tf.train's: it names operations and slots.
  SlotOptimizer(std::string name, const Scope& scope, const LearningRate& learning_rate);

  std::vector<tensorflow::Operation> apply_gradients(const Scope& scope,
                                                     const std::vector<GradientAndVariable>& gradients) override;
  tensorflow::Output learning_rate() const override { return learning_rate_; }

 protected:
  // Creates what belongs to no single variable. Called before the updates.
  virtual void prepare(const Scope& scope, const std::vector<GradientAndVariable>& gradients) {}
  // The update of one variable; `scope` is on its device, the gradient has its dtype.
  virtual tensorflow::Operation update(const Scope& scope, const tensorflow::Output& gradient,
                                       const Variable& variable) = 0;
  // Adds what must run after all updates to `updates`.
  virtual void finish(const Scope& scope, std::vector<tensorflow::Operation>* updates) {}

  // The slot `key` of `variable`, created on first use as `<variable>/<optimizer's name>`.
  Variable slot(const Scope& scope, const Variable& variable, const std::string& key,
                const Initializer& initializer = zeros_initializer());
  // A hyperparameter as a scalar of `dtype`.
  tensorflow::Output scalar(const Scope& scope, float value, tensorflow::DataType dtype) const;
  // The learning rate in `dtype`.
  tensorflow::Output rate(const Scope& scope, tensorflow::DataType dtype) const;

 private:
  std::string name_;
  tensorflow::Output learning_rate_;
  std::map<std::pair<std::string, std::string>, Variable> slots_;  // (variable, key)
};

// The built-in optimizers, one function each; see the table in builtin.cc.
using OptimizerFactory = std::unique_ptr<Optimizer> (*)(const Scope&, const LearningRate&, const OptimizerOptions&);
std::unique_ptr<Optimizer> make_sgd(const Scope&, const LearningRate&, const OptimizerOptions&);
std::unique_ptr<Optimizer> make_momentum(const Scope&, const LearningRate&, const OptimizerOptions&);
std::unique_ptr<Optimizer> make_adadelta(const Scope&, const LearningRate&, const OptimizerOptions&);
std::unique_ptr<Optimizer> make_adagrad(const Scope&, const LearningRate&, const OptimizerOptions&);
std::unique_ptr<Optimizer> make_adamw(const Scope&, const LearningRate&, const OptimizerOptions&);
std::unique_ptr<Optimizer> make_ftrl(const Scope&, const LearningRate&, const OptimizerOptions&);
std::unique_ptr<Optimizer> make_lamb(const Scope&, const LearningRate&, const OptimizerOptions&);
std::unique_ptr<Optimizer> make_rmsprop(const Scope&, const LearningRate&, const OptimizerOptions&);
std::unique_ptr<Optimizer> make_adam(const Scope&, const LearningRate&, const OptimizerOptions&);

}  // namespace mox
