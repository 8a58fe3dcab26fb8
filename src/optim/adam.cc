// adam (Kingma and Ba 2014), adamw (Loshchilov and Hutter 2017), lamb (You et al. 2019). adam and adamw divide by
// sqrt(v) + epsilon before the bias is corrected, as TensorFlow does; lamb after it, as its paper does.
#include "base/pattern.h"
#include "moxing/error.h"
#include "optim/slot_optimizer.h"
#include "tensorflow/cc/ops/training_ops.h"

namespace mox {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

namespace {

// Which variables are decayed, and by how much.
class WeightDecay {
 public:
  WeightDecay(float amount, const std::vector<std::string>& excluded) : amount_(amount) {
    if (!(amount >= 0))
      throw InvalidArgumentError("optimizer option weight_decay is " + std::to_string(amount) + ", expected 0 or more");
    for (const std::string& pattern : excluded) try {
        excluded_.emplace_back(pattern);
      } catch (const InvalidArgumentError& e) {
        throw InvalidArgumentError("optimizer option exclude_from_weight_decay: " + std::string(e.what()));
      }
  }

  float of(const Variable& variable) const {
    for (const Pattern& pattern : excluded_)
      if (pattern.found_in(variable.name)) return 0;
    return amount_;
  }

 private:
  float amount_;
  std::vector<Pattern> excluded_;
};

// What the three share: two moments a variable, and the powers of their decays.
class MomentsOptimizer : public SlotOptimizer {
 public:
  MomentsOptimizer(std::string name, const Scope& scope, const LearningRate& learning_rate,
                   const OptimizerOptions& options, float epsilon)
      : SlotOptimizer(std::move(name), scope, learning_rate),
        beta1_(options.beta1),
        beta2_(options.beta2),
        epsilon_(epsilon) {}

 protected:
  void prepare(const Scope& scope, const std::vector<GradientAndVariable>& gradients) override {
    if (!beta1_power_.name.empty()) return;
    const std::string device = device_of(gradients[0].variable);
    beta1_power_ = create_unique_variable(scope, device, "beta1_power", {}, tf::DT_FLOAT, constant_initializer(beta1_));
    beta2_power_ = create_unique_variable(scope, device, "beta2_power", {}, tf::DT_FLOAT, constant_initializer(beta2_));
  }

  tf::Operation adam_update(const Scope& scope, const tf::Output& gradient, const Variable& variable) {
    const tf::DataType dtype = variable.dtype;
    const Variable m = slot(scope, variable, "m"), v = slot(scope, variable, "v");
    return ops::ResourceApplyAdam(
               scope, variable.handle, m.handle, v.handle, as_dtype(scope, beta1_power_.value, dtype),
               as_dtype(scope, beta2_power_.value, dtype), rate(scope, dtype), scalar(scope, beta1_, dtype),
               scalar(scope, beta2_, dtype), scalar(scope, epsilon_, dtype), gradient)
        .operation;
  }

  void finish(const Scope& scope, std::vector<tf::Operation>* updates) override {
    // Once a step, also with several losses: all updates share one read of the powers.
    if (std::exchange(advances_powers_, true)) return;
    // After the updates: they read this step's powers.
    const Scope after = on_variable_device(scope.with(scope.WithControlDependencies(*updates)), beta1_power_);
    for (const auto& [power, beta] : {std::pair(beta1_power_, beta1_), std::pair(beta2_power_, beta2_)})
      updates->push_back(ops::AssignVariableOp(after, power.handle, ops::Multiply(after, power.value, beta)).operation);
  }

  float beta1_, beta2_, epsilon_;
  Variable beta1_power_, beta2_power_;

 private:
  bool advances_powers_ = false;
};

class Adam : public MomentsOptimizer {
 public:
  Adam(const Scope& scope, const LearningRate& learning_rate, const OptimizerOptions& options)
      : MomentsOptimizer("Adam", scope, learning_rate, options, options.epsilon.value_or(1e-8f)) {}

 protected:
  tf::Operation update(const Scope& scope, const tf::Output& gradient, const Variable& variable) override {
    return adam_update(scope, gradient, variable);
  }
};

// On the fused kernel of adam: one pass over memory. It takes 1 - beta2 from the float beta2, Keras from the double:
// the steps differ by 6e-6 of their size.
class AdamW : public MomentsOptimizer {
 public:
  AdamW(const Scope& scope, const LearningRate& learning_rate, const OptimizerOptions& options)
      : MomentsOptimizer("AdamW", scope, learning_rate, options, options.epsilon.value_or(1e-7f)),
        weight_decay_(options.weight_decay.value_or(0.004f), options.exclude_from_weight_decay) {}

 protected:
  tf::Operation update(const Scope& scope, const tf::Output& gradient, const Variable& variable) override {
    const float decay = weight_decay_.of(variable);
    if (decay == 0) return adam_update(scope, gradient, variable);
    // Once the gradient is there, this step's forward pass has read the weights.
    const Scope ready = scope.with(scope.WithControlDependencies(gradient));
    const tf::Output weights = ops::ReadVariableOp(ready, variable.handle, variable.dtype);
    const tf::Output amount = ops::Multiply(ready, rate(scope, variable.dtype), scalar(scope, decay, variable.dtype));
    const tf::Operation decayed =
        ops::AssignSubVariableOp(ready, variable.handle, ops::Multiply(ready, weights, amount)).operation;
    return adam_update(scope.with(scope.WithControlDependencies({decayed})), gradient, variable);
  }

 private:
  WeightDecay weight_decay_;
};

class Lamb : public MomentsOptimizer {
 public:
  Lamb(const Scope& scope, const LearningRate& learning_rate, const OptimizerOptions& options)
      : MomentsOptimizer("Lamb", scope, learning_rate, options, options.epsilon.value_or(1e-7f)),
        weight_decay_(options.weight_decay.value_or(0), options.exclude_from_weight_decay) {}

 protected:
  tf::Operation update(const Scope& scope, const tf::Output& gradient, const Variable& variable) override {
    const tf::DataType dtype = variable.dtype;
    const Scope ready = scope.with(scope.WithControlDependencies(gradient));
    const tf::Output m = new_moment(ready, slot(scope, variable, "m"), gradient, beta1_);
    const tf::Output v = new_moment(ready, slot(scope, variable, "v"), ops::Square(scope, gradient), beta2_);
    const tf::Output weights = ops::ReadVariableOp(ready, variable.handle, dtype);
    const tf::Output m_hat = unbiased(scope, m, beta1_power_, dtype), v_hat = unbiased(scope, v, beta2_power_, dtype);
    tf::Output direction =
        ops::Div(scope, m_hat, ops::Add(scope, ops::Sqrt(scope, v_hat), scalar(scope, epsilon_, dtype)));
    const float decay = weight_decay_.of(variable);
    if (decay > 0) direction = ops::Add(scope, direction, ops::Multiply(scope, weights, scalar(scope, decay, dtype)));
    const tf::Output ratio = trust_ratio(scope, euclidean_norm(scope, weights), euclidean_norm(scope, direction));
    const tf::Output step = ops::Multiply(scope, as_dtype(scope, ratio, dtype), rate(scope, dtype));
    return ops::AssignSubVariableOp(scope, variable.handle, ops::Multiply(scope, direction, step)).operation;
  }

 private:
  // Moves the moment towards `value`; returns it after the move.
  tf::Output new_moment(const Scope& scope, const Variable& moment, const tf::Output& value, float beta) const {
    const tf::Output old = ops::ReadVariableOp(scope, moment.handle, moment.dtype);
    const tf::Output change =
        ops::Multiply(scope, ops::Subtract(scope, value, old), scalar(scope, 1 - beta, moment.dtype));
    const tf::Output moved = ops::Add(scope, old, change);
    const tf::Operation assigned = ops::AssignVariableOp(scope, moment.handle, moved).operation;
    return ops::Identity(scope.WithControlDependencies({assigned}), moved);
  }

  tf::Output unbiased(const Scope& scope, const tf::Output& moment, const Variable& power, tf::DataType dtype) const {
    return ops::Div(scope, moment, as_dtype(scope, ops::Subtract(scope, 1.f, power.value), dtype));
  }

  WeightDecay weight_decay_;
};

}  // namespace

std::unique_ptr<Optimizer> make_adam(const Scope& scope, const LearningRate& rate, const OptimizerOptions& options) {
  return std::make_unique<Adam>(scope, rate, options);
}

std::unique_ptr<Optimizer> make_adamw(const Scope& scope, const LearningRate& rate, const OptimizerOptions& options) {
  return std::make_unique<AdamW>(scope, rate, options);
}

std::unique_ptr<Optimizer> make_lamb(const Scope& scope, const LearningRate& rate, const OptimizerOptions& options) {
  return std::make_unique<Lamb>(scope, rate, options);
}

}  // namespace mox
