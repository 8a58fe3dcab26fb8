// What the operations that update a variable by momentum share: both variables, locked, and what they become.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <initializer_list>
#include <utility>

#include "kernels/momentum_loops.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/resource_mgr.h"
#include "tensorflow/core/framework/resource_var.h"

namespace mox::kernels {

namespace tf = tensorflow;

// Inputs 0 and 1: the variable and its slot, both float32. Attribute use_nesterov.
class MomentumBase : public tf::OpKernel {
 public:
  explicit MomentumBase(tf::OpKernelConstruction* context) : OpKernel(context) {
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
    for (tf::Var* one : {variable.get(), accumulation.get()}) {
      const char* which = one == variable.get() ? "a variable" : "its slot";
      OP_REQUIRES(context, one->is_initialized,
                  absl::FailedPreconditionError(fmt::format("{}: {} is not initialized", name(), which)));
      OP_REQUIRES_OK(context, check(context, *one->tensor(), which));
    }
    State state;
    OP_REQUIRES_OK(context, memory_for(context, variable.get(), &state.variable));
    OP_REQUIRES_OK(context, memory_for(context, accumulation.get(), &state.accumulation));
    const MomentumUpdate update{.variable = variable->tensor()->flat<float>().data(),
                                .accumulation = accumulation->tensor()->flat<float>().data(),
                                .gradient = nullptr,
                                .new_variable = state.variable.flat<float>().data(),
                                .new_accumulation = state.accumulation.flat<float>().data(),
                                .rate = 0,
                                .momentum = 0,
                                .decay = 0,
                                .use_nesterov = use_nesterov_};
    apply(context, update);
    if (!context->status().ok()) return;
    *variable->tensor() = state.variable;
    *accumulation->tensor() = state.accumulation;
  }

 protected:
  // Whether `value`, the variable's ("a variable") or the slot's ("its slot"), fits what arrives.
  virtual absl::Status check(tf::OpKernelContext* context, const tf::Tensor& value, const char* which) const = 0;
  // Computes all numbers of `update`, of which the gradient, the rate, the momentum and the decay are the caller's to
  // fill in. An error leaves the variables as they are, unless they are updated where they lie.
  virtual void apply(tf::OpKernelContext* context, MomentumUpdate update) = 0;

  absl::Status check_scalars(tf::OpKernelContext* context, std::initializer_list<int> inputs) const {
    for (const int input : inputs)
      if (context->input(input).NumElements() != 1)
        return absl::InvalidArgumentError(fmt::format("{}: input {} has shape {}, expected one number", name(), input,
                                                      context->input(input).shape().DebugString()));
    return absl::OkStatus();
  }
  static float number(tf::OpKernelContext* context, int input) { return context->input(input).flat<float>()(0); }

 private:
  struct State {
    tf::Tensor variable, accumulation;
  };

  // The variable's own where nobody else holds it (a checkpoint that is written, say).
  static absl::Status memory_for(tf::OpKernelContext* context, tf::Var* variable, tf::Tensor* memory) {
    if (variable->tensor()->RefCountIsOne()) {
      *memory = *variable->tensor();
      return absl::OkStatus();
    }
    tf::AllocatorAttributes attributes;
    attributes.set_gpu_compatible(true);
    attributes.set_nic_compatible(true);
    return context->allocate_temp(tf::DT_FLOAT, variable->tensor()->shape(), memory, attributes);
  }

  bool use_nesterov_ = false;
};

}  // namespace mox::kernels
