// ResourceApplyMomentum with a weight decay that is added to the gradient, in one pass over memory;
// passes/decayed_updates.h puts it in. Named so that what looks for updates of variables finds it.
#include "kernels/momentum_op.h"

#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/util/work_sharder.h"

namespace mox::kernels {
namespace {

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

class DecayedMomentumOp : public MomentumBase {
 public:
  using MomentumBase::MomentumBase;

 protected:
  absl::Status check(tf::OpKernelContext* context, const tf::Tensor& value, const char* which) const override {
    const tf::Tensor& gradient = context->input(3);
    if (value.dtype() == tf::DT_FLOAT && value.shape() == gradient.shape()) return check_scalars(context, {2, 4, 5});
    return absl::InvalidArgumentError(fmt::format("{}: {} is {} {}, the gradient {}", name(), which,
                                                  tf::DataTypeString(value.dtype()), value.shape().DebugString(),
                                                  gradient.shape().DebugString()));
  }

  void apply(tf::OpKernelContext* context, MomentumUpdate update) override {
    const tf::Tensor& gradient = context->input(3);
    update.gradient = gradient.flat<float>().data();
    update.rate = number(context, 2);
    update.momentum = number(context, 4);
    update.decay = number(context, 5);
    constexpr int64_t kCycles = 4;  // a number
    const auto* threads = context->device()->tensorflow_cpu_worker_threads();
    tf::Shard(threads->num_threads, threads->workers, gradient.NumElements(), kCycles,
              [&](int64_t begin, int64_t end) { apply_momentum(update, begin, end); });
  }
};

REGISTER_KERNEL_BUILDER(Name("ResourceApplyDecayedMomentum").Device(tf::DEVICE_CPU), DecayedMomentumOp);

}  // namespace
}  // namespace mox::kernels
