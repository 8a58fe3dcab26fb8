// TensorFlow's operations of convolutions/grouped.h, with the inputs of Conv2D and its gradients;
// passes/grouped_convolutions.h puts them in the place of one convolution a group.
#include "convolutions/grouped.h"
#include "kernels/convolution_op.h"
#include "tensorflow/core/framework/op.h"

namespace mox::kernels {
namespace {

using convolutions::Convolution;

REGISTER_OP("MoxGroupedConvolution")
    .Input("x: T")
    .Input("filter: T")
    .Output("y: T")
    .Attr("T: {float, bfloat16}")
    .Attr("groups: int >= 1")
    .Attr("stride: int >= 1 = 1")
    .Attr("padding: {'SAME', 'VALID'}")
    .SetShapeFn(shape_of_output);

REGISTER_OP("MoxGroupedConvolutionInputGradient")
    .Input("input_sizes: int32")
    .Input("filter: T")
    .Input("dy: T")
    .Output("dx: T")
    .Attr("T: {float, bfloat16}")
    .Attr("groups: int >= 1")
    .Attr("stride: int >= 1 = 1")
    .Attr("padding: {'SAME', 'VALID'}")
    .SetShapeFn(shape_of_sizes<0>);

REGISTER_OP("MoxGroupedConvolutionFilterGradient")
    .Input("x: T")
    .Input("filter_sizes: int32")
    .Input("dy: T")
    .Output("dfilter: T")
    .Attr("T: {float, bfloat16}")
    .Attr("groups: int >= 1")
    .Attr("stride: int >= 1 = 1")
    .Attr("padding: {'SAME', 'VALID'}")
    .SetShapeFn(shape_of_sizes<1>);

template <typename T>
class GroupedBase : public ConvolutionBase<T> {
 public:
  using ConvolutionBase<T>::ConvolutionBase;

 protected:
  absl::Status describe_groups(const tf::TensorShape& x, const tf::TensorShape& filter, Convolution* c) const {
    const int64_t groups = this->groups();
    return this->describe(
        x, filter, [groups](const Convolution& one) { return is_fast_grouped(one, groups); }, c);
  }

  // Filters are computed with in float32.
  template <typename Work>
  static const float* widened(const tf::Tensor& filter, Work* work) {
    if constexpr (std::is_same_v<T, float>) {
      return elements<T>(filter);
    } else {
      float* to = work->scratch(filter.NumElements());
      const auto from = filter.flat<T>();
      for (int64_t i = 0; i < filter.NumElements(); ++i) to[i] = static_cast<float>(from(i));
      return to;
    }
  }
};

template <typename T>
class GroupedConvolutionOp : public GroupedBase<T> {
 public:
  using GroupedBase<T>::GroupedBase;

  void Compute(tf::OpKernelContext* context) override {
    const tf::Tensor &x = context->input(0), &filter = context->input(1);
    Convolution c;
    OP_REQUIRES_OK(context, this->describe_groups(x.shape(), filter.shape(), &c));
    tf::Tensor* y = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, this->output_shape(c), &y));
    if (y->NumElements() == 0) return;
    with_work(context, [&](auto* work) {
      convolve_groups(c, this->groups(), elements<T>(x), widened<T>(filter, work), elements<T>(y), work->resources());
    });
  }
};

template <typename T>
class GroupedInputGradientOp : public GroupedBase<T> {
 public:
  using GroupedBase<T>::GroupedBase;

  void Compute(tf::OpKernelContext* context) override {
    const tf::Tensor &filter = context->input(1), &dy = context->input(2);
    tf::TensorShape shape;
    OP_REQUIRES_OK(context, shape_of(context->input(0), &shape));
    Convolution c;
    OP_REQUIRES_OK(context, this->describe_groups(shape, filter.shape(), &c));
    OP_REQUIRES_OK(context, this->check_gradient(c, dy));
    tf::Tensor* dx = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, shape, &dx));
    if (dx->NumElements() == 0) return;
    if (dy.NumElements() == 0) return dx->flat<T>().setZero(), void();
    with_work(context, [&](auto* work) {
      gradient_of_grouped_input(c, this->groups(), widened<T>(filter, work), elements<T>(dy), elements<T>(dx),
                                work->resources());
    });
  }
};

template <typename T>
class GroupedFilterGradientOp : public GroupedBase<T> {
 public:
  using GroupedBase<T>::GroupedBase;

  void Compute(tf::OpKernelContext* context) override {
    const tf::Tensor &x = context->input(0), &dy = context->input(2);
    tf::TensorShape shape;
    OP_REQUIRES_OK(context, shape_of(context->input(1), &shape));
    Convolution c;
    OP_REQUIRES_OK(context, this->describe_groups(x.shape(), shape, &c));
    OP_REQUIRES_OK(context, this->check_gradient(c, dy));
    tf::Tensor* dfilter = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, shape, &dfilter));
    if (dy.NumElements() == 0) return dfilter->flat<T>().setZero(), void();
    with_work(context, [&](auto* work) {
      this->with_sums(work, dfilter, [&](float* sums) {
        gradient_of_grouped_filter(c, this->groups(), elements<T>(x), elements<T>(dy), sums, work->resources());
      });
    });
  }
};

#define MOX_REGISTER(name, Kernel)                                                                      \
  REGISTER_KERNEL_BUILDER(Name(name).Device(tf::DEVICE_CPU).TypeConstraint<float>("T"), Kernel<float>); \
  REGISTER_KERNEL_BUILDER(Name(name).Device(tf::DEVICE_CPU).TypeConstraint<Eigen::bfloat16>("T"),       \
                          Kernel<Eigen::bfloat16>)
MOX_REGISTER("MoxGroupedConvolution", GroupedConvolutionOp);
MOX_REGISTER("MoxGroupedConvolutionInputGradient", GroupedInputGradientOp);
MOX_REGISTER("MoxGroupedConvolutionFilterGradient", GroupedFilterGradientOp);
#undef MOX_REGISTER

}  // namespace
}  // namespace mox::kernels
