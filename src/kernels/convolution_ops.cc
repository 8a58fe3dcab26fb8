// TensorFlow's operations of convolutions/convolution.h, with the inputs of Conv2D and its gradients;
// passes/fast_convolutions.h puts them in their place. The bias and the clamp of ReLU or ReLU6 that follow a
// convolution are computed with it.
#include <fmt/format.h>

#include <vector>

#include "base/mutex.h"
#include "convolutions/convolution.h"
#include "kernels/clamp.h"
#include "kernels/elements.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/kernel_shape_util.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/platform/threadpool.h"
#include "tensorflow/core/util/padding.h"

namespace mox::kernels {
namespace {

namespace tf = tensorflow;
using convolutions::Algorithm;
using convolutions::Convolution;
using convolutions::convolution_loops;
using convolutions::Direction;
using convolutions::Epilogue;
using convolutions::Resources;
using tf::shape_inference::DimensionHandle;
using tf::shape_inference::InferenceContext;
using tf::shape_inference::ShapeHandle;

absl::Status shape_of_output(InferenceContext* c) {
  ShapeHandle x, filter;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 4, &x));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 4, &filter));
  tf::Padding padding;
  int64_t stride = 1;
  TF_RETURN_IF_ERROR(c->GetAttr("padding", &padding));
  TF_RETURN_IF_ERROR(c->GetAttr("stride", &stride));
  DimensionHandle sizes[2];
  for (int i = 0; i < 2; ++i)
    TF_RETURN_IF_ERROR(tf::shape_inference::GetWindowedOutputSizeFromDims(c, c->Dim(x, 1 + i), c->Dim(filter, i),
                                                                          stride, padding, &sizes[i]));
  c->set_output(0, c->MakeShape({c->Dim(x, 0), sizes[0], sizes[1], c->Dim(filter, 3)}));
  return absl::OkStatus();
}

template <int kInput>
absl::Status shape_of_sizes(InferenceContext* c) {
  ShapeHandle shape;
  TF_RETURN_IF_ERROR(c->MakeShapeFromShapeTensor(kInput, &shape));
  TF_RETURN_IF_ERROR(c->WithRank(shape, 4, &shape));
  c->set_output(0, shape);
  return absl::OkStatus();
}

// is_filter_const: every run has the same filter, as oneDNN's operations call it (passes/constant_filters.cc): it is
// packed once.
REGISTER_OP("MoxConvolution")
    .Input("x: T")
    .Input("filter: T")
    .Input("bias: num_bias * T")
    .Output("y: T")
    .Attr("T: {float}")
    .Attr("num_bias: int >= 0 = 0")
    .Attr("stride: int >= 1 = 1")
    .Attr("padding: {'SAME', 'VALID'}")
    .Attr("activation: {'', 'Relu', 'Relu6'} = ''")
    .Attr("is_filter_const: bool = false")
    .SetShapeFn(shape_of_output);

REGISTER_OP("MoxConvolutionInputGradient")
    .Input("input_sizes: int32")
    .Input("filter: T")
    .Input("dy: T")
    .Output("dx: T")
    .Attr("T: {float}")
    .Attr("stride: int >= 1 = 1")
    .Attr("padding: {'SAME', 'VALID'}")
    .SetShapeFn(shape_of_sizes<0>);

REGISTER_OP("MoxConvolutionFilterGradient")
    .Input("x: T")
    .Input("filter_sizes: int32")
    .Input("dy: T")
    .Output("dfilter: T")
    .Attr("T: {float, bfloat16}")
    .Attr("stride: int >= 1 = 1")
    .Attr("padding: {'SAME', 'VALID'}")
    .SetShapeFn(shape_of_sizes<1>);

absl::Status shape_of(const tf::Tensor& sizes, tf::TensorShape* shape) {
  if (sizes.dims() != 1 || sizes.NumElements() != 4)
    return absl::InvalidArgumentError("convolution: expected four sizes, got " + sizes.shape().DebugString());
  return tf::TensorShapeUtils::MakeShape(sizes.vec<int32_t>(), shape);
}

// What the three operations share.
template <typename T>
class ConvolutionBase : public tf::OpKernel {
 public:
  explicit ConvolutionBase(tf::OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("padding", &padding_));
    OP_REQUIRES_OK(context, context->GetAttr("stride", &stride_));
    OP_REQUIRES(context, convolution_loops() != nullptr,
                absl::UnimplementedError("convolution: this processor has neither AVX2 nor AVX-512"));
  }

 protected:
  // Scratch memory and threads of one computation.
  class Work {
   public:
    explicit Work(tf::OpKernelContext* context) : context_(context) {}

    Resources resources() {
      tf::thread::ThreadPool* pool = context_->device()->tensorflow_cpu_worker_threads()->workers;
      return {*convolution_loops(), context_->device()->tensorflow_cpu_worker_threads()->num_threads,
              [pool](int64_t parts, const std::function<void(int64_t)>& work) {
                if (parts == 1) return work(0);
                pool->ParallelFor(parts, tf::thread::ThreadPool::SchedulingParams::Fixed(1),
                                  [&](int64_t first, int64_t last) {
                                    for (int64_t part = first; part < last; ++part) work(part);
                                  });
              },
              [this](int64_t count) { return scratch(count); }};
    }
    float* scratch(int64_t count) {
      tf::Tensor tensor;
      const absl::Status status = context_->allocate_temp(tf::DT_FLOAT, {count}, &tensor);
      if (!status.ok()) throw status;
      kept_.push_back(tensor);
      return tensor.flat<float>().data();
    }

   private:
    tf::OpKernelContext* context_;
    std::vector<tf::Tensor> kept_;
  };

  // Calls compute(Work*); no memory for it is an error of the operation.
  template <typename Compute>
  void with_work(tf::OpKernelContext* context, const Compute& compute) const {
    Work work(context);
    try {
      compute(&work);
    } catch (const absl::Status& status) {
      context->SetStatus(status);
    }
  }

  absl::Status describe(Direction direction, const tf::TensorShape& x, const tf::TensorShape& filter,
                        Convolution* c) const {
    if (x.dims() != 4 || filter.dims() != 4 || x.dim_size(3) != filter.dim_size(2))
      return absl::InvalidArgumentError(
          fmt::format("convolution: expected [batch, height, width, channels] and [height, width, channels, filters], "
                      "got {} and {}",
                      x.DebugString(), filter.DebugString()));
    *c = {.batch = x.dim_size(0),
          .height = x.dim_size(1),
          .width = x.dim_size(2),
          .channels = x.dim_size(3),
          .filters = filter.dim_size(3),
          .filter_height = filter.dim_size(0),
          .filter_width = filter.dim_size(1),
          .stride = stride_};
    if (!is_fast(direction, *c, std::is_same_v<T, float>))
      return absl::InvalidArgumentError(fmt::format("{}: no kernel for images {} and a filter {} with stride {} in {}",
                                                    type_string(), x.DebugString(), filter.DebugString(), stride_,
                                                    tf::DataTypeString(tf::DataTypeToEnum<T>::value)));
    int64_t after = 0;
    TF_RETURN_IF_ERROR(tf::GetWindowedOutputSizeVerbose(c->height, c->filter_height, 1, stride_, padding_,
                                                        &c->out_height, &c->pad_top, &after));
    return tf::GetWindowedOutputSizeVerbose(c->width, c->filter_width, 1, stride_, padding_, &c->out_width,
                                            &c->pad_left, &after);
  }

  static tf::TensorShape output_shape(const Convolution& c) { return {c.batch, c.out_height, c.out_width, c.filters}; }

  static absl::Status check_gradient(const Convolution& c, const tf::Tensor& dy) {
    if (dy.shape() == output_shape(c)) return absl::OkStatus();
    return absl::InvalidArgumentError(fmt::format("gradient of a convolution: expected {}, got {}",
                                                  output_shape(c).DebugString(), dy.shape().DebugString()));
  }

 private:
  tf::Padding padding_ = tf::VALID;
  int64_t stride_ = 1;
};

class ConvolutionOp : public ConvolutionBase<float> {
 public:
  explicit ConvolutionOp(tf::OpKernelConstruction* context) : ConvolutionBase(context) {
    std::string activation;
    int num_bias = 0;
    OP_REQUIRES_OK(context, context->GetAttr("activation", &activation));
    OP_REQUIRES_OK(context, context->GetAttr("num_bias", &num_bias));
    OP_REQUIRES_OK(context, context->GetAttr("is_filter_const", &is_filter_constant_));
    OP_REQUIRES(context, num_bias <= 1,
                absl::InvalidArgumentError(fmt::format("num_bias is 0 or 1, not {}", num_bias)));
    OP_REQUIRES(context, num_bias == 1 || activation.empty(),
                absl::InvalidArgumentError("convolution: an activation needs a bias"));
    has_bias_ = num_bias == 1;
    clamp_ = clamp_of(activation);
  }

  void Compute(tf::OpKernelContext* context) override {
    const tf::Tensor &x = context->input(0), &filter = context->input(1);
    Convolution c;
    OP_REQUIRES_OK(context, describe(Direction::kForward, x.shape(), filter.shape(), &c));
    if (has_bias_)
      OP_REQUIRES(context, context->input(2).dims() == 1 && context->input(2).dim_size(0) == c.filters,
                  absl::InvalidArgumentError(fmt::format("convolution: expected a bias of {} numbers, got {}",
                                                         c.filters, context->input(2).shape().DebugString())));
    tf::Tensor* y = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, output_shape(c), &y));
    if (y->NumElements() == 0) return;
    with_work(context, [&](Work* work) {
      const Epilogue epilogue{has_bias_ ? context->input(2).flat<float>().data() : nullptr, clamp_.floor,
                              clamp_.ceiling};
      const Resources resources = work->resources();
      const Algorithm algorithm = algorithm_of(c, is_filter_constant_);
      convolve(c, algorithm, x.flat<float>().data(), packed_filter(c, algorithm, filter, work), epilogue,
               y->flat<float>().data(), resources);
    });
  }

 private:
  const float* packed_filter(const Convolution& c, Algorithm algorithm, const tf::Tensor& filter, Work* work) {
    const Resources resources = work->resources();
    const int64_t size = packed_size(c, algorithm, resources);
    if (!is_filter_constant_) {
      float* packed = work->scratch(size);
      pack(c, algorithm, filter.flat<float>().data(), packed, resources);
      return packed;
    }
    MutexLock lock(mutex_);
    tf::Tensor& kept = algorithm == Algorithm::kWinograd ? for_winograd_ : for_direct_;
    if (kept.NumElements() != size) {
      kept = tf::Tensor(tf::DT_FLOAT, {size});
      pack(c, algorithm, filter.flat<float>().data(), kept.flat<float>().data(), resources);
    }
    return kept.flat<float>().data();
  }

  bool has_bias_ = false, is_filter_constant_ = false;
  Clamp clamp_{};
  Mutex mutex_;
  tf::Tensor for_winograd_ MOX_GUARDED_BY(mutex_), for_direct_ MOX_GUARDED_BY(mutex_);
};

class InputGradientOp : public ConvolutionBase<float> {
 public:
  using ConvolutionBase::ConvolutionBase;

  void Compute(tf::OpKernelContext* context) override {
    const tf::Tensor &filter = context->input(1), &dy = context->input(2);
    tf::TensorShape shape;
    OP_REQUIRES_OK(context, shape_of(context->input(0), &shape));
    Convolution c;
    OP_REQUIRES_OK(context, describe(Direction::kInputGradient, shape, filter.shape(), &c));
    OP_REQUIRES_OK(context, check_gradient(c, dy));
    tf::Tensor* dx = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, shape, &dx));
    if (dx->NumElements() == 0) return;
    if (dy.NumElements() == 0) return dx->flat<float>().setZero(), void();
    with_work(context, [&](Work* work) {
      gradient_of_input(c, filter.flat<float>().data(), dy.flat<float>().data(), dx->flat<float>().data(),
                        work->resources());
    });
  }
};

template <typename T>
class FilterGradientOp : public ConvolutionBase<T> {
 public:
  using ConvolutionBase<T>::ConvolutionBase;

  void Compute(tf::OpKernelContext* context) override {
    const tf::Tensor &x = context->input(0), &dy = context->input(2);
    tf::TensorShape shape;
    OP_REQUIRES_OK(context, shape_of(context->input(1), &shape));
    Convolution c;
    OP_REQUIRES_OK(context, this->describe(Direction::kFilterGradient, x.shape(), shape, &c));
    OP_REQUIRES_OK(context, this->check_gradient(c, dy));
    tf::Tensor* dfilter = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, shape, &dfilter));
    if (dy.NumElements() == 0) return dfilter->flat<T>().setZero(), void();
    this->with_work(context, [&](auto* work) {
      if constexpr (std::is_same_v<T, float>) {
        gradient_of_filter(c, elements<T>(x), elements<T>(dy), elements<T>(dfilter), work->resources());
      } else {
        float* sums = work->scratch(dfilter->NumElements());
        gradient_of_filter(c, elements<T>(x), elements<T>(dy), sums, work->resources());
        auto to = dfilter->flat<T>();
        for (int64_t i = 0; i < dfilter->NumElements(); ++i) to(i) = static_cast<T>(sums[i]);
      }
    });
  }
};

REGISTER_KERNEL_BUILDER(Name("MoxConvolution").Device(tf::DEVICE_CPU), ConvolutionOp);
REGISTER_KERNEL_BUILDER(Name("MoxConvolutionInputGradient").Device(tf::DEVICE_CPU), InputGradientOp);
REGISTER_KERNEL_BUILDER(Name("MoxConvolutionFilterGradient").Device(tf::DEVICE_CPU).TypeConstraint<float>("T"),
                        FilterGradientOp<float>);
REGISTER_KERNEL_BUILDER(
    Name("MoxConvolutionFilterGradient").Device(tf::DEVICE_CPU).TypeConstraint<Eigen::bfloat16>("T"),
    FilterGradientOp<Eigen::bfloat16>);

}  // namespace
}  // namespace mox::kernels
