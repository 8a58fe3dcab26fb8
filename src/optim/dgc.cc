// dgc: deep gradient compression (Lin et al. 2017). Each worker sends only the largest elements of what it has
// gathered; the rest stays and grows. Momentum is corrected for the delay.
#include <cmath>

#include "moxing/error.h"
#include "moxing/learning_rate_scheduler.h"
#include "optim/wrappers.h"

namespace mox {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

namespace {

class DeepGradientCompression : public LocalStateWrapper {
 public:
  DeepGradientCompression(std::unique_ptr<Optimizer> inner, const OptimizerWrapperOptions& options)
      : LocalStateWrapper(std::move(inner), true), options_(options) {}

 protected:
  std::vector<GradientAndVariable> transform(const Scope& parent, const std::vector<GradientAndVariable>& gradients,
                                             std::vector<tf::Operation>* updates) override {
    const Scope scope = parent.with(parent.NewSubScope("DGC"));
    const tf::Output stage = current_stage(scope);
    std::vector<GradientAndVariable> sparse;
    for (const auto& [gradient, variable] : gradients)
      sparse.push_back({compress(state_scope(scope, variable), gradient, variable, stage, updates), variable});
    return sparse;
  }

 private:
  // The index of the sparsity that holds now.
  tf::Output current_stage(const Scope& scope) const {
    const int last = static_cast<int>(options_.sparsity_strategy.size()) - 1;
    if (options_.num_samples == 0) return ops::Const(scope, last);
    const int64_t steps = learning_rate_scheduler::steps_per_epoch(options_.num_samples, options_.global_batch_size);
    const tf::Output epoch =
        ops::FloorDiv(scope, get_or_create_global_step(scope).value, ops::Const<int64_t>(scope, steps));
    return ops::Cast(scope, ops::Minimum(scope, epoch, ops::Const<int64_t>(scope, last)), tf::DT_INT32);
  }

  // How many elements of a variable are sent, a stage each.
  tf::Tensor elements_sent(int64_t size) const {
    tf::Tensor counts(tf::DT_INT32, {static_cast<int64_t>(options_.sparsity_strategy.size())});
    for (size_t i = 0; i < options_.sparsity_strategy.size(); ++i)
      // Less a little: 1 - 0.999f is above 0.001.
      counts.vec<int>()(i) =
          std::max(1, static_cast<int>(std::ceil(size * (1.0 - options_.sparsity_strategy[i]) - 1e-3)));
    return counts;
  }

  tf::Output compress(const Scope& scope, const tf::Output& gradient, const Variable& variable, const tf::Output& stage,
                      std::vector<tf::Operation>* updates) {
    if (variable.shape.num_elements() == 0) return gradient;
    const tf::DataType dtype = variable.dtype;
    const std::string name = variable.name + "/DGC";
    const Variable velocity = state_variable(scope, variable, name, variable.shape, dtype);
    const Variable unsent = state_variable(scope, variable, name, variable.shape, dtype);
    const tf::Output moved = new_velocity(scope, velocity.value, as_dtype(scope, gradient, dtype), dtype);
    tf::Output gathered = ops::Add(scope, unsent.value, moved);
    if (options_.use_nesterov) gathered = ops::Add(scope, gathered, as_dtype(scope, gradient, dtype));
    const tf::Output sent = largest(scope, gathered, variable.shape.num_elements(), stage);
    const tf::Output zeros = ops::ZerosLike(scope, gathered);
    const tf::Output kept_velocity =
        options_.momentum_factor_masking ? tf::Output(ops::SelectV2(scope, sent, zeros, moved)) : moved;
    updates->push_back(ops::AssignVariableOp(scope, velocity.handle, kept_velocity).operation);
    updates->push_back(
        ops::AssignVariableOp(scope, unsent.handle, ops::SelectV2(scope, sent, zeros, gathered)).operation);
    return ops::SelectV2(scope, sent, gathered, zeros);
  }

  tf::Output new_velocity(const Scope& scope, const tf::Output& velocity, const tf::Output& gradient,
                          tf::DataType dtype) const {
    const tf::Output momentum = as_dtype(scope, ops::Const(scope, options_.momentum), dtype);
    if (options_.use_nesterov) return ops::Multiply(scope, momentum, ops::Add(scope, velocity, gradient));
    return ops::Add(scope, ops::Multiply(scope, momentum, velocity), gradient);
  }

  // True for the elements to send.
  tf::Output largest(const Scope& scope, const tf::Output& tensor, int64_t size, const tf::Output& stage) const {
    const tf::Output magnitude = ops::Abs(scope, tensor);
    const tf::Output count = ops::GatherV2(scope, tf::Input::Initializer(elements_sent(size)), stage, 0);
    const auto top = ops::TopK(scope, ops::Reshape(scope, magnitude, {-1}), count, ops::TopK::Sorted(false));
    return ops::GreaterEqual(scope, magnitude, ops::Min(scope, top.values, 0));
  }

  OptimizerWrapperOptions options_;
};

}  // namespace

void check_dgc(const OptimizerWrapperOptions& options) {
  if (options.sparsity_strategy.empty())
    throw InvalidArgumentError("dgc: sparsity_strategy is empty, expected one sparsity an epoch, e.g. {0.75, 0.999}");
  for (float sparsity : options.sparsity_strategy)
    if (!(sparsity >= 0 && sparsity < 1))
      throw InvalidArgumentError("dgc: sparsity_strategy has " + std::to_string(sparsity) +
                                 ", expected the part of elements that stays behind, from 0 to below 1");
  if (!(options.momentum >= 0 && options.momentum < 1))
    throw InvalidArgumentError("dgc: momentum is " + std::to_string(options.momentum) + ", expected 0 to below 1");
  if ((options.num_samples == 0) != (options.global_batch_size == 0))
    throw InvalidArgumentError("dgc: give num_samples and global_batch_size, or neither of them");
  if (options.num_samples != 0)
    learning_rate_scheduler::steps_per_epoch(options.num_samples, options.global_batch_size);
}

std::unique_ptr<Optimizer> wrap_dgc(std::unique_ptr<Optimizer> inner, const OptimizerWrapperOptions& options) {
  return std::make_unique<DeepGradientCompression>(std::move(inner), options);
}

}  // namespace mox
