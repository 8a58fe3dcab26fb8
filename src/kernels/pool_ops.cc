// MaxPool of NHWC images on CPUs and its gradient, and that of AvgPool, as TensorFlow's with padding SAME or VALID;
// passes/fast_pools.h puts them in. The maximum of a window with a NaN is one (oneDNN's is not). The gradient of a
// maximum goes to the first place that has it.
#include <memory>

#include "kernels/pool_op.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"

namespace mox::kernels {
namespace {

using tf::shape_inference::InferenceContext;

absl::Status shape_of_sizes(InferenceContext* c) {
  tf::shape_inference::ShapeHandle images;
  TF_RETURN_IF_ERROR(c->MakeShapeFromShapeTensor(0, &images));
  TF_RETURN_IF_ERROR(c->WithRank(images, 4, &images));
  c->set_output(0, images);
  return absl::OkStatus();
}

// `places`: for MoxMaxPoolGrad. positive: no gradient where the maximum is not greater than 0, as that of the ReLU
// whose result x is has it.
REGISTER_OP("MoxMaxPool")
    .Input("x: T")
    .Output("y: T")
    .Output("places: uint8")
    .Attr("T: {float, bfloat16}")
    .Attr("ksize: list(int) >= 4")
    .Attr("strides: list(int) >= 4")
    .Attr("padding: {'SAME', 'VALID'}")
    .Attr("positive: bool = false")
    .SetShapeFn([](InferenceContext* c) {
      TF_RETURN_IF_ERROR(tf::shape_inference::MaxPoolShape(c));
      c->set_output(1, c->output(0));
      return absl::OkStatus();
    });

REGISTER_OP("MoxMaxPoolGrad")
    .Input("sizes: int32")
    .Input("places: uint8")
    .Input("dy: T")
    .Output("dx: T")
    .Attr("T: {float, bfloat16}")
    .Attr("ksize: list(int) >= 4")
    .Attr("strides: list(int) >= 4")
    .Attr("padding: {'SAME', 'VALID'}")
    .SetShapeFn(shape_of_sizes);

REGISTER_OP("MoxAvgPoolGrad")
    .Input("sizes: int32")
    .Input("dy: T")
    .Output("dx: T")
    .Attr("T: {float, bfloat16}")
    .Attr("ksize: list(int) >= 4")
    .Attr("strides: list(int) >= 4")
    .Attr("padding: {'SAME', 'VALID'}")
    .SetShapeFn(shape_of_sizes);

absl::Status check_places(const tf::OpKernel& kernel, const Pooling& p) {
  if (p.window_height * p.window_width <= kMostPlaces) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format("{}: a window has at most {} places, not {} x {}", kernel.name(),
                                                kMostPlaces, p.window_height, p.window_width));
}

template <typename T>
class MaxPoolOp : public PoolBase {
 public:
  explicit MaxPoolOp(tf::OpKernelConstruction* context) : PoolBase(context) {
    OP_REQUIRES_OK(context, context->GetAttr("positive", &positive_));
  }

  void Compute(tf::OpKernelContext* context) override {
    const tf::Tensor& x = context->input(0);
    Pooling p;
    OP_REQUIRES_OK(context, describe(x.shape(), &p));
    OP_REQUIRES_OK(context, check_places(*this, p));
    const tf::TensorShape results = results_of(x.shape(), p);
    tf::Tensor *y = nullptr, *places = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, results, &y));
    OP_REQUIRES_OK(context, context->allocate_output(1, results, &places));
    if (y->NumElements() == 0) return;
    const auto* from = elements<T>(x);
    auto* to = elements<T>(y);
    Place* at = places->flat<Place>().data();
    for_lines(context, x.dim_size(0) * p.out_height, p.out_width * p.channels * p.window_height,
              [&](int64_t begin, int64_t end) { max_pool(p, from, positive_, to, at, begin, end); });
  }

 private:
  bool positive_ = false;
};

template <typename T>
class MaxPoolGradOp : public PoolBase {
 public:
  using PoolBase::PoolBase;

  void Compute(tf::OpKernelContext* context) override {
    const tf::Tensor &places = context->input(1), &dy = context->input(2);
    tf::TensorShape images;
    Pooling p;
    OP_REQUIRES_OK(context, images_of(context, &images));
    OP_REQUIRES_OK(context, describe(images, &p));
    OP_REQUIRES_OK(context, check_places(*this, p));
    const tf::TensorShape results = results_of(images, p);
    OP_REQUIRES_OK(context, check_results("places", places, results));
    OP_REQUIRES_OK(context, check_results("gradients", dy, results));
    tf::Tensor* dx = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, images, &dx));
    if (dx->NumElements() == 0) return;
    const Place* at = places.flat<Place>().data();
    const auto* from = elements<T>(dy);
    auto* to = elements<T>(dx);
    for_lines(context, images.dim_size(0) * p.height, p.width * p.channels,
              [&](int64_t begin, int64_t end) { max_pool_gradient(p, from, at, to, begin, end); });
  }
};

template <typename T>
class AveragePoolGradOp : public PoolBase {
 public:
  using PoolBase::PoolBase;

  void Compute(tf::OpKernelContext* context) override {
    const tf::Tensor& dy = context->input(1);
    tf::TensorShape images;
    Pooling p;
    OP_REQUIRES_OK(context, images_of(context, &images));
    OP_REQUIRES_OK(context, describe(images, &p));
    OP_REQUIRES_OK(context, check_results("gradients", dy, results_of(images, p)));
    tf::Tensor* dx = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, images, &dx));
    if (dx->NumElements() == 0) return;
    const auto* from = elements<T>(dy);
    auto* to = elements<T>(dx);
    for_lines(context, images.dim_size(0) * p.height, p.width * p.channels, [&](int64_t begin, int64_t end) {
      const std::unique_ptr<float[]> scratch(new float[average_pool_scratch(p)]);
      average_pool_gradient(p, from, to, scratch.get(), begin, end);
    });
  }
};

#define MOX_REGISTER_POOLS(T)                                                                                      \
  REGISTER_KERNEL_BUILDER(Name("MoxMaxPool").Device(tf::DEVICE_CPU).TypeConstraint<T>("T"), MaxPoolOp<T>);         \
  REGISTER_KERNEL_BUILDER(Name("MoxMaxPoolGrad").Device(tf::DEVICE_CPU).TypeConstraint<T>("T"), MaxPoolGradOp<T>); \
  REGISTER_KERNEL_BUILDER(Name("MoxAvgPoolGrad").Device(tf::DEVICE_CPU).TypeConstraint<T>("T"), AveragePoolGradOp<T>);
MOX_REGISTER_POOLS(float)
MOX_REGISTER_POOLS(Eigen::bfloat16)
#undef MOX_REGISTER_POOLS

}  // namespace
}  // namespace mox::kernels
