// What wrappers of optimizers share, and their factories. Private to the engine.
#pragma once

#include <utility>

#include "optim/slot_optimizer.h"

namespace mox {

// An optimizer around another one.
class OptimizerWrapper : public Optimizer {
 public:
  explicit OptimizerWrapper(std::unique_ptr<Optimizer> inner) : inner_(std::move(inner)) {}

  std::vector<GradientAndVariable> prepare_gradients(const Scope& scope,
                                                     const std::vector<GradientAndVariable>& gradients) override {
    return inner_->prepare_gradients(scope, gradients);
  }
  tensorflow::Output learning_rate() const override { return inner_->learning_rate(); }

 protected:
  Optimizer& inner() { return *inner_; }

 private:
  std::unique_ptr<Optimizer> inner_;
};

// A wrapper with state a worker: it works on gradients before they are joined, or, where the engine does not ask for
// that, when they are applied.
class LocalStateWrapper : public OptimizerWrapper {
 public:
  LocalStateWrapper(std::unique_ptr<Optimizer> inner, bool before_join)
      : OptimizerWrapper(std::move(inner)), before_join_(before_join) {}

  std::vector<GradientAndVariable> prepare_gradients(const Scope& scope,
                                                     const std::vector<GradientAndVariable>& gradients) override;
  std::vector<tensorflow::Operation> apply_gradients(const Scope& scope,
                                                     const std::vector<GradientAndVariable>& gradients) override;

 protected:
  // Changes the gradients; operations that must run in every step go to `updates`.
  virtual std::vector<GradientAndVariable> transform(const Scope& scope,
                                                     const std::vector<GradientAndVariable>& gradients,
                                                     std::vector<tensorflow::Operation>* updates) = 0;
  // Adds what makes the inner optimizer's operations complete.
  virtual void finish(const Scope& scope, std::vector<tensorflow::Operation>* inner_updates) {}

  // A variable of this wrapper for `variable`, in the place where transform works.
  Variable state_variable(const Scope& scope, const Variable& variable, const std::string& name,
                          const tensorflow::TensorShape& shape, tensorflow::DataType dtype);
  // `scope` in that place.
  Scope state_scope(const Scope& scope, const Variable& variable) const;

 private:
  const bool before_join_;
  bool preparing_ = false;  // inside prepare_gradients
  bool prepared_ = false;
  std::vector<tensorflow::Operation> updates_;
};

using WrapperFactory = std::unique_ptr<Optimizer> (*)(std::unique_ptr<Optimizer>, const OptimizerWrapperOptions&);
std::unique_ptr<Optimizer> wrap_batch_gradients(std::unique_ptr<Optimizer>, const OptimizerWrapperOptions&);
std::unique_ptr<Optimizer> wrap_dgc(std::unique_ptr<Optimizer>, const OptimizerWrapperOptions&);
std::unique_ptr<Optimizer> wrap_lars(std::unique_ptr<Optimizer>, const OptimizerWrapperOptions&);

// InvalidArgumentError when the options do not fit the wrapper.
void check_batch_gradients(const OptimizerWrapperOptions& options);
void check_dgc(const OptimizerWrapperOptions& options);
void check_lars(const OptimizerWrapperOptions& options);

}  // namespace mox
