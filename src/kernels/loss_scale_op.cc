// MoxUpdateLossScale: the loss scale of the next step, and the log line about it.
#include <fmt/format.h>

#include "moxing/log.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace mox {
namespace {

namespace tf = tensorflow;

constexpr float kLargest = 1e30f;  // doubled it is still a float

REGISTER_OP("MoxUpdateLossScale")
    .Input("finite: bool")
    .Input("scale: float")
    .Input("good_steps: int64")
    .Input("global_step: int64")
    .Output("next_scale: float")
    .Output("next_good_steps: int64")
    .Attr("growth_steps: int >= 1")
    .SetIsStateful()  // it logs
    .SetShapeFn([](tf::shape_inference::InferenceContext* c) {
      for (int i = 0; i < 2; ++i) c->set_output(i, c->Scalar());
      return absl::OkStatus();
    });

class UpdateLossScaleOp : public tf::OpKernel {
 public:
  explicit UpdateLossScaleOp(tf::OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("growth_steps", &growth_steps_));
  }

  void Compute(tf::OpKernelContext* context) override {
    const bool finite = context->input(0).scalar<bool>()();
    const float scale = context->input(1).scalar<float>()();
    const int64_t good_steps = context->input(2).scalar<int64_t>()() + 1;
    const int64_t step = context->input(3).scalar<int64_t>()();
    OP_REQUIRES(
        context, finite || scale > 1,
        absl::FailedPreconditionError(fmt::format(
            "the gradients are not finite at loss_scale {:g}, which cannot be the scale's fault: training stops. "
            "Try a smaller learning rate, or look at the input of that step",
            scale)));
    tf::Tensor *next_scale = nullptr, *next_good_steps = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, {}, &next_scale));
    OP_REQUIRES_OK(context, context->allocate_output(1, {}, &next_good_steps));
    const bool grows = finite && good_steps >= growth_steps_ && scale < kLargest;
    const float next = !finite ? std::max(1.f, scale / 2) : grows ? scale * 2 : scale;
    next_scale->scalar<float>()() = next;
    next_good_steps->scalar<int64_t>()() = !finite || grows ? 0 : good_steps;
    if (!finite)
      log_warning(fmt::format(
          "[LossScale] global step: {}: the gradients are not finite, the step is skipped; loss_scale: {:g} -> {:g}",
          step, scale, next));
    if (grows)
      log_info(fmt::format("[LossScale] global step: {}: {} good steps; loss_scale: {:g} -> {:g}", step, good_steps,
                           scale, next));
  }

 private:
  int64_t growth_steps_ = 0;
};

REGISTER_KERNEL_BUILDER(Name("MoxUpdateLossScale").Device(tf::DEVICE_CPU), UpdateLossScaleOp);

}  // namespace
}  // namespace mox
