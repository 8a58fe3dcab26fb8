// adam: Kingma and Ba 2014, in the form that divides by sqrt(v) + epsilon before the correction of the bias.
#include "optim/slot_optimizer.h"
#include "tensorflow/cc/ops/training_ops.h"

namespace mox {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

namespace {

class Adam : public SlotOptimizer {
 public:
  Adam(const Scope& scope, const LearningRate& learning_rate, float beta1, float beta2, float epsilon)
      : SlotOptimizer("Adam", scope, learning_rate), beta1_(beta1), beta2_(beta2), epsilon_(epsilon) {}

 protected:
  void prepare(const Scope& scope, const std::vector<GradientAndVariable>& gradients) override {
    if (!beta1_power_.name.empty()) return;
    const Variable& first = gradients[0].variable;
    beta1_power_ = create_unique_variable(scope, first, "beta1_power", {}, tf::DT_FLOAT, constant_initializer(beta1_));
    beta2_power_ = create_unique_variable(scope, first, "beta2_power", {}, tf::DT_FLOAT, constant_initializer(beta2_));
  }

  tf::Operation update(const Scope& scope, const tf::Output& gradient, const Variable& variable) override {
    const tf::DataType dtype = variable.dtype;
    const Variable m = slot(scope, variable, "m"), v = slot(scope, variable, "v");
    return ops::ResourceApplyAdam(
               scope, variable.handle, m.handle, v.handle, as_dtype(scope, beta1_power_.value, dtype),
               as_dtype(scope, beta2_power_.value, dtype), rate(scope, dtype), scalar(scope, beta1_, dtype),
               scalar(scope, beta2_, dtype), scalar(scope, epsilon_, dtype), gradient)
        .operation;
  }

  void finish(const Scope& scope, std::vector<tf::Operation>* updates) override {
    // After the updates: they read this step's powers.
    const Scope after = on_variable_device(scope.with(scope.WithControlDependencies(*updates)), beta1_power_);
    for (const auto& [power, beta] : {std::pair(beta1_power_, beta1_), std::pair(beta2_power_, beta2_)})
      updates->push_back(ops::AssignVariableOp(after, power.handle, ops::Multiply(after, power.value, beta)).operation);
  }

 private:
  float beta1_, beta2_, epsilon_;
  Variable beta1_power_, beta2_power_;
};

}  // namespace

std::unique_ptr<Optimizer> make_adam(const Scope& scope, const LearningRate& rate, const OptimizerOptions& options) {
  return std::make_unique<Adam>(scope, rate, options.beta1, options.beta2, options.epsilon.value_or(1e-8f));
}

}  // namespace mox
