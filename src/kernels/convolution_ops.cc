// TensorFlow's operations of convolutions/convolution.h, with the inputs of Conv2D and its gradients;
// passes/fast_convolutions.h puts them in their place. The bias, what is added to it and the clamp of ReLU or ReLU6
// that follow a convolution are computed with it, and the moments for a batch norm.
#include <fmt/format.h>

#include "base/mutex.h"
#include "convolutions/convolution.h"
#include "kernels/clamp.h"
#include "kernels/convolution_op.h"
#include "kernels/moments_of_output.h"
#include "kernels/norm_of_input.h"
#include "tensorflow/core/framework/op.h"

namespace mox::kernels {
namespace {

using convolutions::Algorithm;
using convolutions::Convolution;
using convolutions::Direction;
using convolutions::Epilogue;
using convolutions::Prologue;
using convolutions::Resources;
using convolutions::RowsDone;

// is_filter_const: every run has the same filter, as oneDNN's operations call it (passes/constant_filters.cc): it is
// packed once.
// moments: of y, as those of MoxMoments.
REGISTER_OP("MoxConvolution")
    .Input("x: T")
    .Input("filter: T")
    .Input("bias: num_bias * T")
    .Input("side: num_side * T")
    .Input("norm: num_norm * float")
    .Output("y: T")
    .Output("moments: num_moments * float")
    .Attr("T: {float, bfloat16}")
    .Attr("num_bias: int >= 0 = 0")
    .Attr("num_side: int >= 0 = 0")
    .Attr("num_moments: int >= 0 = 0")
    .Attr("num_norm: int >= 0 = 0")
    .Attr("norm_epsilon: float = 0")
    .Attr("norm_activation: {'', 'Relu', 'Relu6'} = ''")
    .Attr("stride: int >= 1 = 1")
    .Attr("padding: {'SAME', 'VALID', 'EXPLICIT'}")
    .Attr("explicit_paddings: list(int) = []")
    .Attr("activation: {'', 'Relu', 'Relu6'} = ''")
    .Attr("is_filter_const: bool = false")
    .SetShapeFn([](tf::shape_inference::InferenceContext* c) {
      TF_RETURN_IF_ERROR(shape_of_output(c));
      return shapes_of_moments(c);
    });

// With `compact`, of 1x1 filters, only the pixels that the stride reads, [batch, out_height, out_width, channels]: the
// others' gradient is 0.
REGISTER_OP("MoxConvolutionInputGradient")
    .Input("input_sizes: int32")
    .Input("filter: T")
    .Input("dy: T")
    .Output("dx: T")
    .Attr("T: {float, bfloat16}")
    .Attr("stride: int >= 1 = 1")
    .Attr("padding: {'SAME', 'VALID', 'EXPLICIT'}")
    .Attr("explicit_paddings: list(int) = []")
    .Attr("compact: bool = false")
    .SetShapeFn([](tf::shape_inference::InferenceContext* c) {
      TF_RETURN_IF_ERROR(shape_of_sizes<0>(c));
      bool compact = false;
      TF_RETURN_IF_ERROR(c->GetAttr("compact", &compact));
      if (!compact) return absl::OkStatus();
      tf::shape_inference::ShapeHandle dy, dx;
      TF_RETURN_IF_ERROR(c->WithRank(c->input(2), 4, &dy));
      TF_RETURN_IF_ERROR(c->ReplaceDim(dy, 3, c->Dim(c->output(0), 3), &dx));
      c->set_output(0, dx);
      return absl::OkStatus();
    });

// Tdfilter: T, or float where T is bfloat16, the type of the sums.
REGISTER_OP("MoxConvolutionFilterGradient")
    .Input("x: T")
    .Input("filter_sizes: int32")
    .Input("dy: T")
    .Input("norm: num_norm * float")
    .Output("dfilter: Tdfilter")
    .Attr("T: {float, bfloat16}")
    .Attr("Tdfilter: {float, bfloat16}")
    .Attr("num_norm: int >= 0 = 0")
    .Attr("norm_epsilon: float = 0")
    .Attr("norm_activation: {'', 'Relu', 'Relu6'} = ''")
    .Attr("stride: int >= 1 = 1")
    .Attr("padding: {'SAME', 'VALID', 'EXPLICIT'}")
    .Attr("explicit_paddings: list(int) = []")
    .SetShapeFn(shape_of_sizes<1>);

template <typename T, Direction kDirection>
bool is_fast_for(const Convolution& c) {
  return is_fast(kDirection, c, std::is_same_v<T, float>);
}

absl::Status prologue_of(tf::OpKernelContext* context, const NormOfInput& norm, int first, const Convolution& c,
                         Affine* affine, Prologue* prologue) {
  if (norm.is_there() && !takes_prologue(c))
    return absl::InvalidArgumentError(
        fmt::format("convolution: a batch norm of its input goes with filters of 1x1 and stride 1, not of {}x{} and {}",
                    c.filter_height, c.filter_width, c.stride));
  return norm.prologue(context, first, c.channels, affine, prologue);
}

template <typename T>
class ConvolutionOp : public ConvolutionBase<T> {
 public:
  explicit ConvolutionOp(tf::OpKernelConstruction* context) : ConvolutionBase<T>(context) {
    std::string activation;
    int num_bias = 0, num_side = 0;
    OP_REQUIRES_OK(context, context->GetAttr("activation", &activation));
    OP_REQUIRES_OK(context, context->GetAttr("num_bias", &num_bias));
    OP_REQUIRES_OK(context, context->GetAttr("num_moments", &num_moments_));
    OP_REQUIRES_OK(context, context->GetAttr("is_filter_const", &is_filter_constant_));
    OP_REQUIRES(context, num_bias <= 1,
                absl::InvalidArgumentError(fmt::format("num_bias is 0 or 1, not {}", num_bias)));
    OP_REQUIRES_OK(context, context->GetAttr("num_side", &num_side));
    OP_REQUIRES(context, num_side <= 1,
                absl::InvalidArgumentError(fmt::format("num_side is 0 or 1, not {}", num_side)));
    has_side_ = num_side == 1;
    OP_REQUIRES(context, num_bias == 1 || activation.empty(),
                absl::InvalidArgumentError("convolution: an activation needs a bias"));
    OP_REQUIRES_OK(context, check_num_moments(num_moments_));
    OP_REQUIRES_OK(context, norm_.load(context));
    has_bias_ = num_bias == 1;
    clamp_ = clamp_of(activation);
  }

  void Compute(tf::OpKernelContext* context) override {
    const tf::Tensor &x = context->input(0), &filter = context->input(1);
    Convolution c;
    OP_REQUIRES_OK(context, this->describe(x.shape(), filter.shape(), is_fast_for<T, Direction::kForward>, &c));
    if (has_bias_)
      OP_REQUIRES(context, context->input(2).dims() == 1 && context->input(2).dim_size(0) == c.filters,
                  absl::InvalidArgumentError(fmt::format("convolution: expected a bias of {} numbers, got {}",
                                                         c.filters, context->input(2).shape().DebugString())));
    const int side = has_bias_ ? 3 : 2;
    if (has_side_)
      OP_REQUIRES(context, context->input(side).shape() == this->output_shape(c),
                  absl::InvalidArgumentError(fmt::format("convolution: expected {} to add, got {}",
                                                         this->output_shape(c).DebugString(),
                                                         context->input(side).shape().DebugString())));
    Affine affine;
    Prologue prologue;
    OP_REQUIRES_OK(context, prologue_of(context, norm_, has_side_ ? side + 1 : side, c, &affine, &prologue));
    const Algorithm algorithm =
        norm_.is_there() ? Algorithm::kPointwise : algorithm_of(c, is_filter_constant_, kFloat32);
    tf::Tensor* y = nullptr;
    OP_REQUIRES_OK(context, context->forward_input_or_allocate_output(
                                has_side_ && adds_in_place(algorithm) ? std::vector<int>{side} : std::vector<int>{}, 0,
                                this->output_shape(c), &y));
    MomentsOfOutput<T> moments(num_moments_, parts_of_output(c), c.filters);
    if (y->NumElements() > 0)
      with_work(context, [&](auto* work) {
        const Epilogue epilogue{has_bias_ ? widened<T>(context->input(2), work) : nullptr, clamp_.floor, clamp_.ceiling,
                                has_side_ ? elements<T>(context->input(side)) : nullptr};
        convolve(c, algorithm, elements<T>(x), prologue, packed_filter(c, algorithm, filter, work), epilogue,
                 elements<T>(y), moments.rows_done(), work->resources());
      });
    if (context->status().ok()) OP_REQUIRES_OK(context, moments.give(context));
  }

 private:
  static constexpr bool kFloat32 = std::is_same_v<T, float>;

  const float* packed_filter(const Convolution& c, Algorithm algorithm, const tf::Tensor& filter, Work* work) {
    const Resources resources = work->resources();
    const int64_t size = packed_size(c, algorithm, resources, kFloat32);
    if (!is_filter_constant_) {
      float* packed = work->scratch(size);
      pack(c, algorithm, elements<T>(filter), packed, resources);
      return packed;
    }
    MutexLock lock(mutex_);
    tf::Tensor& kept = algorithm == Algorithm::kWinograd ? for_winograd_ : for_products_;
    if (kept.NumElements() != size) {
      kept = tf::Tensor(tf::DT_FLOAT, {size});
      pack(c, algorithm, elements<T>(filter), kept.flat<float>().data(), resources);
    }
    return kept.flat<float>().data();
  }

  bool has_bias_ = false, has_side_ = false, is_filter_constant_ = false;
  int num_moments_ = 0;
  NormOfInput norm_;
  Clamp clamp_{};
  Mutex mutex_;
  tf::Tensor for_winograd_ MOX_GUARDED_BY(mutex_), for_products_ MOX_GUARDED_BY(mutex_);
};

template <typename T>
class InputGradientOp : public ConvolutionBase<T> {
 public:
  explicit InputGradientOp(tf::OpKernelConstruction* context) : ConvolutionBase<T>(context) {
    OP_REQUIRES_OK(context, context->GetAttr("compact", &is_compact_));
  }

  void Compute(tf::OpKernelContext* context) override {
    const tf::Tensor &filter = context->input(1), &dy = context->input(2);
    tf::TensorShape shape;
    OP_REQUIRES_OK(context, shape_of(context->input(0), &shape));
    Convolution c;
    OP_REQUIRES_OK(context, this->describe(shape, filter.shape(), is_compact_ ? is_compact : is_whole, &c));
    OP_REQUIRES_OK(context, this->check_gradient(c, dy));
    if (is_compact_) {
      c = without_stride(c);
      shape = {c.batch, c.height, c.width, c.channels};
    }
    tf::Tensor* dx = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, shape, &dx));
    if (dx->NumElements() == 0) return;
    if (dy.NumElements() == 0) return dx->flat<T>().setZero(), void();
    with_work(context, [&](auto* work) {
      gradient_of_input(c, elements<T>(filter), elements<T>(dy), elements<T>(dx), RowsDone{}, work->resources());
    });
  }

 private:
  static bool is_whole(const Convolution& c) { return is_fast_for<T, Direction::kInputGradient>(c); }
  static bool is_compact(const Convolution& c) {
    return c.filter_height == 1 && c.filter_width == 1 && is_whole(without_stride(c));
  }

  bool is_compact_ = false;
};

template <typename T, typename Gradient>
class FilterGradientOp : public ConvolutionBase<T> {
 public:
  explicit FilterGradientOp(tf::OpKernelConstruction* context) : ConvolutionBase<T>(context) {
    OP_REQUIRES_OK(context, norm_.load(context));
  }

  void Compute(tf::OpKernelContext* context) override {
    const tf::Tensor &x = context->input(0), &dy = context->input(2);
    tf::TensorShape shape;
    OP_REQUIRES_OK(context, shape_of(context->input(1), &shape));
    Convolution c;
    OP_REQUIRES_OK(context, this->describe(x.shape(), shape, is_fast_for<T, Direction::kFilterGradient>, &c));
    OP_REQUIRES_OK(context, this->check_gradient(c, dy));
    Affine affine;
    Prologue prologue;
    OP_REQUIRES_OK(context, prologue_of(context, norm_, 3, c, &affine, &prologue));
    tf::Tensor* dfilter = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, shape, &dfilter));
    if (dy.NumElements() == 0) return dfilter->flat<Gradient>().setZero(), void();
    with_work(context, [&](auto* work) {
      this->with_sums(work, dfilter, [&](float* sums) {
        gradient_of_filter(c, elements<T>(x), prologue, elements<T>(dy), sums, work->resources());
      });
    });
  }

 private:
  NormOfInput norm_;
};

#define MOX_REGISTER(T)                                                                                            \
  REGISTER_KERNEL_BUILDER(Name("MoxConvolution").Device(tf::DEVICE_CPU).TypeConstraint<T>("T"), ConvolutionOp<T>); \
  REGISTER_KERNEL_BUILDER(Name("MoxConvolutionInputGradient").Device(tf::DEVICE_CPU).TypeConstraint<T>("T"),       \
                          InputGradientOp<T>);
MOX_REGISTER(float)
MOX_REGISTER(Eigen::bfloat16)
#undef MOX_REGISTER
#define MOX_REGISTER(T, Gradient)                                    \
  REGISTER_KERNEL_BUILDER(Name("MoxConvolutionFilterGradient")       \
                              .Device(tf::DEVICE_CPU)                \
                              .TypeConstraint<T>("T")                \
                              .TypeConstraint<Gradient>("Tdfilter"), \
                          FilterGradientOp<T, Gradient>)
MOX_REGISTER(float, float);
MOX_REGISTER(Eigen::bfloat16, float);
MOX_REGISTER(Eigen::bfloat16, Eigen::bfloat16);
#undef MOX_REGISTER

}  // namespace
}  // namespace mox::kernels
