// lars: layer-wise adaptive rate scaling (You et al. 2017).
#include "moxing/error.h"
#include "optim/wrappers.h"

namespace mox {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

namespace {

class Lars : public OptimizerWrapper {
 public:
  Lars(std::unique_ptr<Optimizer> inner, const OptimizerWrapperOptions& options)
      : OptimizerWrapper(std::move(inner)), options_(options) {}

  std::vector<tf::Operation> apply_gradients(const Scope& parent,
                                             const std::vector<GradientAndVariable>& gradients) override {
    const Scope scope = parent.with(parent.NewSubScope("LARS"));
    std::vector<GradientAndVariable> scaled;
    for (const auto& [gradient, variable] : gradients) {
      const bool skip = options_.skip_one_dimensional && variable.shape.dims() <= 1;
      const Scope at = on_variable_device(scope, variable);
      scaled.push_back({skip ? gradient : scale(at, as_dtype(at, gradient, variable.dtype), variable), variable});
    }
    return inner().apply_gradients(parent, scaled);
  }

 private:
  tf::Output scale(const Scope& scope, const tf::Output& gradient, const Variable& variable) const {
    const Scope ready = scope.with(scope.WithControlDependencies(gradient));
    const tf::Output weights = ops::ReadVariableOp(ready, variable.handle, variable.dtype);
    const tf::Output weights_norm = euclidean_norm(scope, weights);
    const tf::Output decayed_norm = ops::Multiply(scope, weights_norm, options_.weight_decay);
    const tf::Output step_norm = ops::Add(scope, euclidean_norm(scope, gradient), decayed_norm);
    // A variable that is still 0 would never move: it keeps its gradient.
    const tf::Output both =
        ops::LogicalAnd(scope, ops::Greater(scope, weights_norm, 0.f), ops::Greater(scope, step_norm, 0.f));
    const tf::Output trust = ops::Multiply(scope, ops::DivNoNan(scope, weights_norm, step_norm), options_.ratio);
    const tf::Output factor = as_dtype(scope, ops::SelectV2(scope, both, trust, 1.f), variable.dtype);
    tf::Output step = gradient;
    if (options_.weight_decay > 0) {
      const tf::Output decay = as_dtype(scope, ops::Const(scope, options_.weight_decay), variable.dtype);
      step = ops::Add(scope, gradient, ops::Multiply(scope, weights, decay));
    }
    return ops::Multiply(scope, step, factor);
  }

  OptimizerWrapperOptions options_;
};

}  // namespace

void check_lars(const OptimizerWrapperOptions& options) {
  if (!(options.ratio > 0))
    throw InvalidArgumentError("lars: ratio is " + std::to_string(options.ratio) +
                               ", expected a number above 0, e.g. 0.001");
  if (!(options.weight_decay >= 0))
    throw InvalidArgumentError("lars: weight_decay is " + std::to_string(options.weight_decay) +
                               ", expected 0 or more");
}

std::unique_ptr<Optimizer> wrap_lars(std::unique_ptr<Optimizer> inner, const OptimizerWrapperOptions& options) {
  return std::make_unique<Lars>(std::move(inner), options);
}

}  // namespace mox
