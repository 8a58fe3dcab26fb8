// The base of most optimizers: the learning rate, slot variables, their names and devices.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "moxing/export.h"
#include "moxing/initializers.h"
#include "moxing/optimizer.h"

namespace mox {

// One update a variable, then what a whole step needs. A derived class gives `update`.
class MOX_EXPORT SlotOptimizer : public Optimizer {
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

}  // namespace mox
