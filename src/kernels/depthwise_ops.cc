// TensorFlow's operations of convolutions/depthwise.h, with the inputs of DepthwiseConv2dNative and its gradients;
// passes/fast_convolutions.h puts them in their place. The bias and the clamp of ReLU or ReLU6 that follow are computed
// with it. In bfloat16 sums are float32, rounded once.
#include <type_traits>

#include "convolutions/depthwise.h"
#include "kernels/clamp.h"
#include "kernels/depthwise_op.h"
#include "kernels/moments_of_output.h"
#include "kernels/norm_of_input.h"
#include "tensorflow/core/framework/op.h"

namespace mox::kernels {
namespace {

using convolutions::Depthwise;
using convolutions::depthwise_loops;
using convolutions::Epilogue;
using convolutions::Prologue;
using convolutions::RowsDone;

absl::Status shape_of_depthwise_output(tf::shape_inference::InferenceContext* c) {
  TF_RETURN_IF_ERROR(shape_of_output(c));
  tf::shape_inference::ShapeHandle y;
  TF_RETURN_IF_ERROR(c->ReplaceDim(c->output(0), 3, c->Dim(c->input(0), 3), &y));
  c->set_output(0, y);
  return shapes_of_moments(c);
}

// moments: of y, as those of MoxMoments.
REGISTER_OP("MoxDepthwiseConvolution")
    .Input("x: T")
    .Input("filter: T")
    .Input("bias: num_bias * T")
    .Input("norm: num_norm * float")
    .Output("y: T")
    .Output("moments: num_moments * float")
    .Attr("T: {float, bfloat16}")
    .Attr("num_bias: int >= 0 = 0")
    .Attr("num_moments: int >= 0 = 0")
    .Attr("num_norm: int >= 0 = 0")
    .Attr("norm_epsilon: float = 0")
    .Attr("norm_activation: {'', 'Relu', 'Relu6'} = ''")
    .Attr("stride: int >= 1 = 1")
    .Attr("padding: {'SAME', 'VALID'}")
    .Attr("activation: {'', 'Relu', 'Relu6'} = ''")
    .SetShapeFn(shape_of_depthwise_output);

REGISTER_OP("MoxDepthwiseConvolutionInputGradient")
    .Input("input_sizes: int32")
    .Input("filter: T")
    .Input("dy: T")
    .Output("dx: T")
    .Attr("T: {float, bfloat16}")
    .Attr("stride: int >= 1 = 1")
    .Attr("padding: {'SAME', 'VALID'}")
    .SetShapeFn(shape_of_sizes<0>);

REGISTER_OP("MoxDepthwiseConvolutionFilterGradient")
    .Input("x: T")
    .Input("filter_sizes: int32")
    .Input("dy: T")
    .Input("norm: num_norm * float")
    .Output("dfilter: T")
    .Attr("T: {float, bfloat16}")
    .Attr("num_norm: int >= 0 = 0")
    .Attr("norm_epsilon: float = 0")
    .Attr("norm_activation: {'', 'Relu', 'Relu6'} = ''")
    .Attr("stride: int >= 1 = 1")
    .Attr("padding: {'SAME', 'VALID'}")
    .SetShapeFn(shape_of_sizes<1>);

// Filters are [size, size, channels, 1].
template <typename T>
class DepthwiseBase : public ConvolutionBase<T> {
 public:
  using ConvolutionBase<T>::ConvolutionBase;

 protected:
  absl::Status describe_depthwise(const tf::TensorShape& x, const tf::TensorShape& filter, Depthwise* d) const {
    return kernels::describe_depthwise(this->window(), *this, tf::DataTypeToEnum<T>::value, x, filter, d);
  }

  static tf::TensorShape shape_of_y(const Depthwise& d) { return {d.batch, d.out_height, d.out_width, d.channels}; }

  static absl::Status check_depthwise_gradient(const Depthwise& d, const tf::Tensor& dy) {
    if (dy.shape() == shape_of_y(d)) return absl::OkStatus();
    return absl::InvalidArgumentError(fmt::format("gradient of a depthwise convolution: expected {}, got {}",
                                                  shape_of_y(d).DebugString(), dy.shape().DebugString()));
  }
};

template <typename T>
class DepthwiseOp : public DepthwiseBase<T> {
 public:
  explicit DepthwiseOp(tf::OpKernelConstruction* context) : DepthwiseBase<T>(context) {
    std::string activation;
    int num_bias = 0;
    OP_REQUIRES_OK(context, context->GetAttr("activation", &activation));
    OP_REQUIRES_OK(context, context->GetAttr("num_bias", &num_bias));
    OP_REQUIRES_OK(context, context->GetAttr("num_moments", &num_moments_));
    OP_REQUIRES_OK(context, check_num_moments(num_moments_));
    OP_REQUIRES_OK(context, norm_.load(context));
    OP_REQUIRES(context, num_bias <= 1,
                absl::InvalidArgumentError(fmt::format("num_bias is 0 or 1, not {}", num_bias)));
    OP_REQUIRES(context, num_bias == 1 || activation.empty(),
                absl::InvalidArgumentError("depthwise convolution: an activation needs a bias"));
    has_bias_ = num_bias == 1;
    clamp_ = clamp_of(activation);
  }

  void Compute(tf::OpKernelContext* context) override {
    const tf::Tensor &x = context->input(0), &filter = context->input(1);
    Depthwise d;
    OP_REQUIRES_OK(context, this->describe_depthwise(x.shape(), filter.shape(), &d));
    if (has_bias_)
      OP_REQUIRES(context, context->input(2).dims() == 1 && context->input(2).dim_size(0) == d.channels,
                  absl::InvalidArgumentError(fmt::format("depthwise convolution: expected a bias of {} numbers, got {}",
                                                         d.channels, context->input(2).shape().DebugString())));
    Affine affine;
    Prologue prologue;
    OP_REQUIRES_OK(context, norm_.prologue(context, has_bias_ ? 3 : 2, d.channels, &affine, &prologue));
    tf::Tensor* y = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, this->shape_of_y(d), &y));
    MomentsOfOutput<T> moments(num_moments_, parts_of_output(d), d.channels);
    if (y->NumElements() > 0)
      with_work(context, [&](auto* work) {
        const Epilogue epilogue{has_bias_ ? widened<T>(context->input(2), work) : nullptr, clamp_.floor,
                                clamp_.ceiling};
        depthwise(d, elements<T>(x), prologue, widened<T>(filter, work), epilogue, elements<T>(y), moments.rows_done(),
                  *depthwise_loops(), work->resources());
      });
    if (context->status().ok()) OP_REQUIRES_OK(context, moments.give(context));
  }

 private:
  bool has_bias_ = false;
  int num_moments_ = 0;
  NormOfInput norm_;
  Clamp clamp_{};
};

template <typename T>
class DepthwiseInputGradientOp : public DepthwiseBase<T> {
 public:
  using DepthwiseBase<T>::DepthwiseBase;

  void Compute(tf::OpKernelContext* context) override {
    const tf::Tensor &filter = context->input(1), &dy = context->input(2);
    tf::TensorShape shape;
    OP_REQUIRES_OK(context, shape_of(context->input(0), &shape));
    Depthwise d;
    OP_REQUIRES_OK(context, this->describe_depthwise(shape, filter.shape(), &d));
    OP_REQUIRES_OK(context, this->check_depthwise_gradient(d, dy));
    tf::Tensor* dx = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, shape, &dx));
    if (dx->NumElements() == 0) return;
    with_work(context, [&](auto* work) {
      depthwise_input_gradient(d, widened<T>(filter, work), elements<T>(dy), elements<T>(dx), RowsDone{},
                               *depthwise_loops(), work->resources());
    });
  }
};

template <typename T>
class DepthwiseFilterGradientOp : public DepthwiseBase<T> {
 public:
  explicit DepthwiseFilterGradientOp(tf::OpKernelConstruction* context) : DepthwiseBase<T>(context) {
    OP_REQUIRES_OK(context, norm_.load(context));
  }

  void Compute(tf::OpKernelContext* context) override {
    const tf::Tensor &x = context->input(0), &dy = context->input(2);
    tf::TensorShape shape;
    OP_REQUIRES_OK(context, shape_of(context->input(1), &shape));
    Depthwise d;
    OP_REQUIRES_OK(context, this->describe_depthwise(x.shape(), shape, &d));
    OP_REQUIRES_OK(context, this->check_depthwise_gradient(d, dy));
    Affine affine;
    Prologue prologue;
    OP_REQUIRES_OK(context, norm_.prologue(context, 3, d.channels, &affine, &prologue));
    tf::Tensor* dfilter = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, shape, &dfilter));
    if (dy.NumElements() == 0) return dfilter->flat<T>().setZero(), void();
    with_work(context, [&](auto* work) {
      this->with_sums(work, dfilter, [&](float* sums) {
        depthwise_filter_gradient(d, elements<T>(x), prologue, elements<T>(dy), sums, *depthwise_loops(),
                                  work->resources());
      });
    });
  }

 private:
  NormOfInput norm_;
};

#define MOX_REGISTER_DEPTHWISE(T)                                                                                      \
  REGISTER_KERNEL_BUILDER(Name("MoxDepthwiseConvolution").Device(tf::DEVICE_CPU).TypeConstraint<T>("T"),               \
                          DepthwiseOp<T>);                                                                             \
  REGISTER_KERNEL_BUILDER(Name("MoxDepthwiseConvolutionInputGradient").Device(tf::DEVICE_CPU).TypeConstraint<T>("T"),  \
                          DepthwiseInputGradientOp<T>);                                                                \
  REGISTER_KERNEL_BUILDER(Name("MoxDepthwiseConvolutionFilterGradient").Device(tf::DEVICE_CPU).TypeConstraint<T>("T"), \
                          DepthwiseFilterGradientOp<T>);
MOX_REGISTER_DEPTHWISE(float)
MOX_REGISTER_DEPTHWISE(Eigen::bfloat16)
#undef MOX_REGISTER_DEPTHWISE

}  // namespace
}  // namespace mox::kernels
