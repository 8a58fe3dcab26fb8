// Batch norm in training, with what surrounds it in a network: the clamp of ReLU or ReLU6 after it, a residual added
// before that, and the sum of gradients that arrive. passes/fuse_batch_norm.h puts them in; they read and write memory
// about half as often as the separate operations (where a ResNet-50 step spends a third of its time).
#include "kernels/batch_norm_op.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"

namespace mox::kernels {
namespace {

using tf::shape_inference::InferenceContext;

REGISTER_OP("MoxMoments")
    .Input("x: T")
    .Output("mean: float")
    .Output("unbiased_variance: float")
    .Output("variance: float")
    .Attr("T: {float, bfloat16}")
    .SetShapeFn([](InferenceContext* c) {
      tf::shape_inference::ShapeHandle x;
      TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 4, &x));
      for (int i = 0; i < 3; ++i) c->set_output(i, c->Vector(c->Dim(x, 3)));
      return absl::OkStatus();
    });

REGISTER_OP("MoxNormalize")
    .Input("x: T")
    .Input("side: num_side * T")
    .Input("mean: float")
    .Input("variance: float")
    .Input("scale: float")
    .Input("offset: float")
    .Output("y: T")
    .Attr("T: {float, bfloat16}")
    .Attr("num_side: int >= 0")
    .Attr("epsilon: float")
    .Attr("activation: {'', 'Relu', 'Relu6'}")
    .SetShapeFn(tf::shape_inference::UnchangedShape);

REGISTER_OP("MoxNormalizeGrad")
    .Input("dy: num_dy * T")
    .Input("x: T")
    .Input("y: num_side * T")
    .Input("mean: float")
    .Input("variance: float")
    .Input("scale: float")
    .Input("offset: float")
    .Output("dx: T")
    .Output("dscale: float")
    .Output("doffset: float")
    .Output("dside: num_side * T")
    .Attr("T: {float, bfloat16}")
    .Attr("num_dy: int >= 1")
    .Attr("num_side: int >= 0")
    .Attr("epsilon: float")
    .Attr("activation: {'', 'Relu', 'Relu6'}")
    .SetShapeFn([](InferenceContext* c) {
      int num_dy = 0;
      TF_RETURN_IF_ERROR(c->GetAttr("num_dy", &num_dy));
      const int scale = c->num_inputs() - 2;
      c->set_output(0, c->input(num_dy));
      c->set_output(1, c->input(scale));
      c->set_output(2, c->input(scale));
      for (int i = 3; i < c->num_outputs(); ++i) c->set_output(i, c->input(num_dy));
      return absl::OkStatus();
    });

template <typename T>
class MomentsOp : public tf::OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(tf::OpKernelContext* context) override {
    const tf::Tensor& x = context->input(0);
    OP_REQUIRES_OK(context, check_image(x));
    const Rows rows(x);
    tf::Tensor* outputs[3];
    for (int i = 0; i < 3; ++i) OP_REQUIRES_OK(context, context->allocate_output(i, {rows.channels}, &outputs[i]));
    MomentsOfParts moments(rows.parts, rows.channels);
    for_each_part(context, rows,
                  [&](int64_t part) { moments.add(part, elements<T>(x), rows.begin(part), rows.begin(part + 1)); });
    moments.finish(outputs[0]->flat<float>().data(), outputs[1]->flat<float>().data(),
                   outputs[2]->flat<float>().data());
  }
};

template <typename T>
class NormalizeOp : public NormalizeBase<T> {
 public:
  using NormalizeBase<T>::NormalizeBase;

  void Compute(tf::OpKernelContext* context) override {
    const tf::Tensor& x = context->input(0);
    OP_REQUIRES_OK(context, check_image(x));
    const Rows rows(x);
    Affine a;
    OP_REQUIRES_OK(context, this->affine(context, 1 + this->num_side_, rows.channels, &a));
    tf::Tensor* y = nullptr;
    if (this->num_side_ > 0) {
      OP_REQUIRES(
          context, context->input(1).shape() == x.shape(),
          absl::InvalidArgumentError("batch norm: what is added has shape " + context->input(1).shape().DebugString() +
                                     ", expected " + x.shape().DebugString()));
      OP_REQUIRES_OK(context, context->forward_input_or_allocate_output({1}, 0, x.shape(), &y));
    } else {
      OP_REQUIRES_OK(context, context->allocate_output(0, x.shape(), &y));
    }
    const Normalization<Element<T>> n{.channels = rows.channels,
                                      .x = elements<T>(x),
                                      .side = this->num_side_ > 0 ? elements<T>(context->input(1)) : nullptr,
                                      .scale = a.scale.data(),
                                      .shift = a.shift.data(),
                                      .clamp = this->clamp_,
                                      .y = elements<T>(y)};
    for_each_part(context, rows, [&](int64_t part) { normalize(n, rows.begin(part), rows.begin(part + 1)); });
  }
};

template <typename T>
class NormalizeGradOp : public NormalizeGradBase<T> {
 public:
  explicit NormalizeGradOp(tf::OpKernelConstruction* context) : NormalizeGradBase<T>(context) {
    OP_REQUIRES_OK(context, context->GetAttr("num_dy", &num_dy_));
    OP_REQUIRES(context, num_dy_ <= 2, absl::InvalidArgumentError(fmt::format("num_dy is 1 or 2, not {}", num_dy_)));
  }

  void Compute(tf::OpKernelContext* context) override {
    const tf::Tensor& x = context->input(num_dy_);
    OP_REQUIRES_OK(context, check_image(x));
    for (int i = 0; i < num_dy_ + 1 + this->num_side_; ++i)
      OP_REQUIRES(
          context, context->input(i).shape() == x.shape(),
          absl::InvalidArgumentError(fmt::format("gradient of batch norm: input {} has shape {}, expected {}", i,
                                                 context->input(i).shape().DebugString(), x.shape().DebugString())));
    const Rows rows(x);
    typename NormalizeGradBase<T>::Gradient gradient(x, rows.parts);
    OP_REQUIRES_OK(context, this->describe(context, num_dy_, &gradient));
    tf::Tensor *dx = nullptr, *dside = nullptr;
    // In place: every pass reads a place before it writes it.
    if (this->num_side_ > 0) {
      OP_REQUIRES_OK(context, context->allocate_output(0, x.shape(), &dx));
      OP_REQUIRES_OK(context, context->forward_input_or_allocate_output(dy_inputs(), 3, x.shape(), &dside));
    } else {
      OP_REQUIRES_OK(context, context->forward_input_or_allocate_output(dy_inputs(), 0, x.shape(), &dx));
    }
    gradient.n.dy = elements<T>(context->input(0));
    gradient.n.more_dy = num_dy_ > 1 ? elements<T>(context->input(1)) : nullptr;
    gradient.n.g = dside ? elements<T>(dside) : nullptr;
    gradient.n.dx = elements<T>(dx);
    for_each_part(context, rows,
                  [&](int64_t part) { gradient.sums.add(part, gradient.n, rows.begin(part), rows.begin(part + 1)); });
    this->finish(context, &gradient);
  }

 private:
  std::vector<int> dy_inputs() const { return num_dy_ > 1 ? std::vector<int>{0, 1} : std::vector<int>{0}; }

  int num_dy_ = 1;
};

#define MOX_REGISTER(T)                                                                                        \
  REGISTER_KERNEL_BUILDER(Name("MoxMoments").Device(tf::DEVICE_CPU).TypeConstraint<T>("T"), MomentsOp<T>);     \
  REGISTER_KERNEL_BUILDER(Name("MoxNormalize").Device(tf::DEVICE_CPU).TypeConstraint<T>("T"), NormalizeOp<T>); \
  REGISTER_KERNEL_BUILDER(Name("MoxNormalizeGrad").Device(tf::DEVICE_CPU).TypeConstraint<T>("T"), NormalizeGradOp<T>);
MOX_REGISTER(float)
MOX_REGISTER(Eigen::bfloat16)
#undef MOX_REGISTER

}  // namespace
}  // namespace mox::kernels
