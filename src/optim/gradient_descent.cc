// sgd and momentum: Qian 1999; Nesterov's variant as Sutskever et al. 2013 write it.
#include "optim/slot_optimizer.h"
#include "tensorflow/cc/ops/training_ops.h"

namespace mox {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

namespace {

class GradientDescent : public SlotOptimizer {
 public:
  GradientDescent(const Scope& scope, const LearningRate& learning_rate)
      : SlotOptimizer("GradientDescent", scope, learning_rate) {}

 protected:
  tf::Operation update(const Scope& scope, const tf::Output& gradient, const Variable& variable) override {
    return ops::ResourceApplyGradientDescent(scope, variable.handle, rate(scope, variable.dtype), gradient).operation;
  }
};

class Momentum : public SlotOptimizer {
 public:
  Momentum(const Scope& scope, const LearningRate& learning_rate, float momentum, bool use_nesterov)
      : SlotOptimizer("Momentum", scope, learning_rate), momentum_(momentum), use_nesterov_(use_nesterov) {}

 protected:
  tf::Operation update(const Scope& scope, const tf::Output& gradient, const Variable& variable) override {
    return ops::ResourceApplyMomentum(scope, variable.handle, slot(scope, variable, "momentum").handle,
                                      rate(scope, variable.dtype), gradient, scalar(scope, momentum_, variable.dtype),
                                      ops::ResourceApplyMomentum::UseNesterov(use_nesterov_))
        .operation;
  }

 private:
  float momentum_;
  bool use_nesterov_;
};

}  // namespace

std::unique_ptr<Optimizer> make_sgd(const Scope& scope, const LearningRate& rate, const OptimizerOptions&) {
  return std::make_unique<GradientDescent>(scope, rate);
}

std::unique_ptr<Optimizer> make_momentum(const Scope& scope, const LearningRate& rate,
                                         const OptimizerOptions& options) {
  return std::make_unique<Momentum>(scope, rate, options.momentum.value_or(0.9f), options.use_nesterov);
}

}  // namespace mox
