// adadelta (Zeiler 2012), adagrad (Duchi et al. 2011), ftrl (McMahan et al. 2013), rmsprop (Hinton 2012, with the
// centred variant of Graves 2013).
#include "moxing/error.h"
#include "optim/slot_optimizer.h"
#include "tensorflow/cc/ops/training_ops.h"

namespace mox {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

namespace {

class Adadelta : public SlotOptimizer {
 public:
  Adadelta(const Scope& scope, const LearningRate& learning_rate, float rho, float epsilon)
      : SlotOptimizer("Adadelta", scope, learning_rate), rho_(rho), epsilon_(epsilon) {}

 protected:
  tf::Operation update(const Scope& scope, const tf::Output& gradient, const Variable& variable) override {
    const tf::DataType dtype = variable.dtype;
    const Variable accum = slot(scope, variable, "accum"), accum_update = slot(scope, variable, "accum_update");
    return ops::ResourceApplyAdadelta(scope, variable.handle, accum.handle, accum_update.handle, rate(scope, dtype),
                                      scalar(scope, rho_, dtype), scalar(scope, epsilon_, dtype), gradient)
        .operation;
  }

 private:
  float rho_, epsilon_;
};

class Adagrad : public SlotOptimizer {
 public:
  Adagrad(const Scope& scope, const LearningRate& learning_rate, float initial_accumulator_value)
      : SlotOptimizer("Adagrad", scope, learning_rate), initial_(constant_initializer(initial_accumulator_value)) {}

 protected:
  tf::Operation update(const Scope& scope, const tf::Output& gradient, const Variable& variable) override {
    return ops::ResourceApplyAdagrad(scope, variable.handle, slot(scope, variable, "accumulator", initial_).handle,
                                     rate(scope, variable.dtype), gradient)
        .operation;
  }

 private:
  Initializer initial_;
};

class Ftrl : public SlotOptimizer {
 public:
  Ftrl(const Scope& scope, const LearningRate& learning_rate, const OptimizerOptions& options)
      : SlotOptimizer("Ftrl", scope, learning_rate), options_(options) {}

 protected:
  tf::Operation update(const Scope& scope, const tf::Output& gradient, const Variable& variable) override {
    const tf::DataType dtype = variable.dtype;
    const Variable accum = slot(scope, variable, "accum", constant_initializer(options_.initial_accumulator_value));
    const Variable linear = slot(scope, variable, "linear");
    const tf::Output l1 = scalar(scope, options_.l1_regularization_strength, dtype);
    const tf::Output l2 = scalar(scope, options_.l2_regularization_strength, dtype);
    const tf::Output power = scalar(scope, options_.learning_rate_power, dtype);
    const float shrinkage = options_.l2_shrinkage_regularization_strength;
    if (shrinkage > 0)
      return ops::ResourceApplyFtrlV2(scope, variable.handle, accum.handle, linear.handle, gradient, rate(scope, dtype),
                                      l1, l2, scalar(scope, shrinkage, dtype), power)
          .operation;
    return ops::ResourceApplyFtrl(scope, variable.handle, accum.handle, linear.handle, gradient, rate(scope, dtype), l1,
                                  l2, power)
        .operation;
  }

 private:
  OptimizerOptions options_;
};

class RmsProp : public SlotOptimizer {
 public:
  RmsProp(const Scope& scope, const LearningRate& learning_rate, const OptimizerOptions& options)
      : SlotOptimizer("RMSProp", scope, learning_rate), options_(options) {}

 protected:
  tf::Operation update(const Scope& scope, const tf::Output& gradient, const Variable& variable) override {
    const tf::DataType dtype = variable.dtype;
    const tf::Output decay = scalar(scope, options_.decay, dtype);
    const tf::Output momentum = scalar(scope, options_.momentum.value_or(0), dtype);
    const tf::Output epsilon = scalar(scope, options_.epsilon.value_or(1e-10f), dtype);
    // In tf.train's order of creation: it decides which slot is called RMSProp_1.
    const Variable rms = slot(scope, variable, "rms", ones_initializer());
    if (options_.centered) {
      const Variable mean = slot(scope, variable, "mg"), step = slot(scope, variable, "momentum");
      return ops::ResourceApplyCenteredRMSProp(scope, variable.handle, mean.handle, rms.handle, step.handle,
                                               rate(scope, dtype), decay, momentum, epsilon, gradient)
          .operation;
    }
    return ops::ResourceApplyRMSProp(scope, variable.handle, rms.handle, slot(scope, variable, "momentum").handle,
                                     rate(scope, dtype), decay, momentum, epsilon, gradient)
        .operation;
  }

 private:
  OptimizerOptions options_;
};

void check_range(const char* field, float value, bool ok, const char* expected) {
  if (!ok)
    throw InvalidArgumentError(std::string("optimizer option ") + field + " is " + std::to_string(value) +
                               ", expected " + expected);
}

}  // namespace

std::unique_ptr<Optimizer> make_adadelta(const Scope& scope, const LearningRate& rate,
                                         const OptimizerOptions& options) {
  return std::make_unique<Adadelta>(scope, rate, options.rho, options.epsilon.value_or(1e-8f));
}

std::unique_ptr<Optimizer> make_adagrad(const Scope& scope, const LearningRate& rate, const OptimizerOptions& options) {
  // At 0 the first update divides by the gradient's own size, or by 0.
  check_range("initial_accumulator_value", options.initial_accumulator_value, options.initial_accumulator_value > 0,
              "a number above 0 for adagrad");
  return std::make_unique<Adagrad>(scope, rate, options.initial_accumulator_value);
}

std::unique_ptr<Optimizer> make_ftrl(const Scope& scope, const LearningRate& rate, const OptimizerOptions& options) {
  check_range("learning_rate_power", options.learning_rate_power, options.learning_rate_power <= 0, "0 or less");
  check_range("initial_accumulator_value", options.initial_accumulator_value, options.initial_accumulator_value >= 0,
              "0 or more");
  check_range("l1_regularization_strength", options.l1_regularization_strength, options.l1_regularization_strength >= 0,
              "0 or more");
  check_range("l2_regularization_strength", options.l2_regularization_strength, options.l2_regularization_strength >= 0,
              "0 or more");
  check_range("l2_shrinkage_regularization_strength", options.l2_shrinkage_regularization_strength,
              options.l2_shrinkage_regularization_strength >= 0, "0 or more");
  return std::make_unique<Ftrl>(scope, rate, options);
}

std::unique_ptr<Optimizer> make_rmsprop(const Scope& scope, const LearningRate& rate, const OptimizerOptions& options) {
  return std::make_unique<RmsProp>(scope, rate, options);
}

}  // namespace mox
