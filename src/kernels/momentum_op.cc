// ResourceApplyMomentum with a weight decay that is added to the gradient, in one pass over memory;
// passes/decayed_updates.h puts it in. Named so that what looks for updates of variables finds it.
#include <fmt/format.h>

#include <functional>
#include <utility>

#include "kernels/momentum_loops.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/resource_mgr.h"
#include "tensorflow/core/framework/resource_var.h"
#include "tensorflow/core/util/work_sharder.h"

namespace mox::kernels {
namespace {

namespace tf = tensorflow;

// accum = accum * momentum + (grad + var * decay); var -= lr * accum, with use_nesterov as in ResourceApplyMomentum.
// lr, momentum and decay are scalars.
REGISTER_OP("ResourceApplyDecayedMomentum")
    .Input("var: resource")
    .Input("accum: resource")
    .Input("lr: float")
    .Input("grad: float")
    .Input("momentum: float")
    .Input("decay: float")
    .Attr("use_nesterov: bool = false")
    .SetIsStateful()
    .SetShapeFn(tf::shape_inference::NoOutputs);

class DecayedMomentumOp : public tf::OpKernel {
 public:
  explicit DecayedMomentumOp(tf::OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("use_nesterov", &use_nesterov_));
  }

  void Compute(tf::OpKernelContext* context) override {
    tf::core::RefCountPtr<tf::Var> variable, accumulation;
    OP_REQUIRES_OK(context, tf::LookupResource(context, tf::HandleFromInput(context, 0), &variable));
    OP_REQUIRES_OK(context, tf::LookupResource(context, tf::HandleFromInput(context, 1), &accumulation));
    OP_REQUIRES(context, variable.get() != accumulation.get(),
                absl::InvalidArgumentError(name() + ": a variable is not its own accumulation"));
    // In one order whoever locks them.
    tf::Var *first = variable.get(), *second = accumulation.get();
    if (std::less<tf::Var*>()(second, first)) std::swap(first, second);
    tf::mutex_lock lock_first(*first->mu());
    tf::mutex_lock lock_second(*second->mu());
    update(context, variable.get(), accumulation.get());
  }

 private:
  void update(tf::OpKernelContext* context, tf::Var* variable, tf::Var* accumulation) const {
    const tf::Tensor& gradient = context->input(3);
    for (tf::Var* one : {variable, accumulation}) {
      OP_REQUIRES(context, one->is_initialized,
                  absl::FailedPreconditionError(
                      fmt::format("{}: {} is not initialized", name(), one == variable ? "a variable" : "its slot")));
      OP_REQUIRES(context, one->tensor()->dtype() == tf::DT_FLOAT && one->tensor()->shape() == gradient.shape(),
                  absl::InvalidArgumentError(fmt::format(
                      "{}: {} is {} {}, the gradient {}", name(), one == variable ? "a variable" : "its slot",
                      tf::DataTypeString(one->tensor()->dtype()), one->tensor()->shape().DebugString(),
                      gradient.shape().DebugString())));
    }
    for (const int scalar : {2, 4, 5})
      OP_REQUIRES(context, context->input(scalar).NumElements() == 1,
                  absl::InvalidArgumentError(fmt::format("{}: input {} has shape {}, expected one number", name(),
                                                         scalar, context->input(scalar).shape().DebugString())));
    tf::Tensor new_variable, new_accumulation;
    OP_REQUIRES_OK(context, memory_for(context, *variable, &new_variable));
    OP_REQUIRES_OK(context, memory_for(context, *accumulation, &new_accumulation));
    const auto number = [&](int input) { return context->input(input).flat<float>()(0); };
    const MomentumUpdate todo{.variable = variable->tensor()->flat<float>().data(),
                              .accumulation = accumulation->tensor()->flat<float>().data(),
                              .gradient = gradient.flat<float>().data(),
                              .new_variable = new_variable.flat<float>().data(),
                              .new_accumulation = new_accumulation.flat<float>().data(),
                              .rate = number(2),
                              .momentum = number(4),
                              .decay = number(5),
                              .use_nesterov = use_nesterov_};
    constexpr int64_t kCycles = 4;  // a number
    const auto* threads = context->device()->tensorflow_cpu_worker_threads();
    tf::Shard(threads->num_threads, threads->workers, gradient.NumElements(), kCycles,
              [&](int64_t begin, int64_t end) { apply_momentum(todo, begin, end); });
    *variable->tensor() = new_variable;
    *accumulation->tensor() = new_accumulation;
  }

  // The variable's own where nobody else holds it (a checkpoint that is written, say).
  static absl::Status memory_for(tf::OpKernelContext* context, const tf::Var& variable, tf::Tensor* memory) {
    const tf::Tensor& now = *const_cast<tf::Var&>(variable).tensor();
    if (now.RefCountIsOne()) {
      *memory = now;
      return absl::OkStatus();
    }
    tf::AllocatorAttributes attributes;
    attributes.set_gpu_compatible(true);
    attributes.set_nic_compatible(true);
    return context->allocate_temp(tf::DT_FLOAT, now.shape(), memory, attributes);
  }

  bool use_nesterov_ = false;
};

REGISTER_KERNEL_BUILDER(Name("ResourceApplyDecayedMomentum").Device(tf::DEVICE_CPU), DecayedMomentumOp);

}  // namespace
}  // namespace mox::kernels
