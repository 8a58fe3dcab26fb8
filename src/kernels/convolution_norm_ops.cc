// The gradient of a convolution's input and, as it comes, the sums for the gradient of the batch norm that made this
// input: passes/norm_in_convolutions.h puts it in. What arrives at the norm is in the cache then.
#include <fmt/format.h>

#include "convolutions/convolution.h"
#include "kernels/batch_norm_op.h"
#include "kernels/convolution_op.h"
#include "tensorflow/core/framework/op.h"

namespace mox::kernels {
namespace {

using convolutions::Convolution;
using convolutions::Direction;
using convolutions::RowParts;
using convolutions::RowsDone;

// As MoxNormalizeGrad of what MoxConvolutionInputGradient gives, with a stride of 1, and `more_dy`.
REGISTER_OP("MoxConvolutionNormalizeGrad")
    .Input("filter: T")
    .Input("dz: T")
    .Input("more_dy: num_more * T")
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
    .Attr("num_more: int >= 0 = 0")
    .Attr("num_side: int >= 0")
    .Attr("epsilon: float")
    .Attr("activation: {'', 'Relu', 'Relu6'}")
    .SetShapeFn([](tf::shape_inference::InferenceContext* c) {
      int num_more = 0;
      TF_RETURN_IF_ERROR(c->GetAttr("num_more", &num_more));
      const int x = 2 + num_more, scale = c->num_inputs() - 2;
      c->set_output(0, c->input(x));
      c->set_output(1, c->input(scale));
      c->set_output(2, c->input(scale));
      for (int i = 3; i < c->num_outputs(); ++i) c->set_output(i, c->input(x));
      return absl::OkStatus();
    });

template <typename T>
class ConvolutionNormalizeGradOp : public NormalizeGradBase<T> {
 public:
  explicit ConvolutionNormalizeGradOp(tf::OpKernelConstruction* context) : NormalizeGradBase<T>(context) {
    OP_REQUIRES_OK(context, context->GetAttr("num_more", &num_more_));
    OP_REQUIRES(context, num_more_ <= 1,
                absl::InvalidArgumentError(fmt::format("num_more is 0 or 1, not {}", num_more_)));
  }

  void Compute(tf::OpKernelContext* context) override {
    const int first = 2 + num_more_;
    const tf::Tensor& x = context->input(first);
    OP_REQUIRES_OK(context, check(context, first));
    Convolution c;
    OP_REQUIRES_OK(context, describe_convolution(context, x.shape(), &c));
    const RowParts parts(c.batch * c.height * c.width);
    typename NormalizeGradBase<T>::Gradient gradient(x, parts.parts);
    OP_REQUIRES_OK(context, this->describe(context, first, &gradient));
    tf::Tensor* arrived = nullptr;  // where the convolution's gradient goes
    OP_REQUIRES_OK(context, allocate(context, x, &gradient, &arrived));
    auto& n = gradient.n;
    n.dy = elements<T>(*arrived);
    n.more_dy = num_more_ > 0 ? elements<T>(context->input(2)) : nullptr;
    if (x.NumElements() > 0) {
      const RowsDone done{
          [&](int64_t part, int64_t begin, int64_t end) { gradient.sums.add(part, n, begin, end); },
          {n.x, n.y, n.more_dy}};
      Work work(context);
      try {
        gradient_of_input(c, elements<T>(context->input(0)), elements<T>(context->input(1)), elements<T>(arrived),
                          done, work.resources());
      } catch (const absl::Status& status) {
        return context->SetStatus(status);
      }
    }
    this->finish(context, &gradient);
  }

 private:
  absl::Status check(tf::OpKernelContext* context, int first) const {
    const tf::Tensor& x = context->input(first);
    TF_RETURN_IF_ERROR(check_image(x));
    for (int i = 2; i <= first + this->num_side_; ++i)
      if (context->input(i).shape() != x.shape())
        return absl::InvalidArgumentError(fmt::format("gradient of batch norm: input {} has shape {}, expected {}", i,
                                                      context->input(i).shape().DebugString(),
                                                      x.shape().DebugString()));
    return absl::OkStatus();
  }

  absl::Status describe_convolution(tf::OpKernelContext* context, const tf::TensorShape& image, Convolution* c) const {
    const tf::TensorShape &filter = context->input(0).shape(), &dz = context->input(1).shape();
    tf::TensorShape expected = image;
    if (filter.dims() == 4) expected.set_dim(3, filter.dim_size(3));
    if (filter.dims() != 4 || filter.dim_size(2) != image.dim_size(3) || dz != expected)
      return absl::InvalidArgumentError(fmt::format(
          "gradient of a convolution and of batch norm: expected a filter [1, 1, {}, filters] and a gradient {}, got "
          "{} and {}",
          image.dim_size(3), expected.DebugString(), filter.DebugString(), dz.DebugString()));
    *c = {.batch = image.dim_size(0),
          .height = image.dim_size(1),
          .width = image.dim_size(2),
          .channels = image.dim_size(3),
          .out_height = image.dim_size(1),
          .out_width = image.dim_size(2),
          .filters = filter.dim_size(3),
          .filter_height = filter.dim_size(0),
          .filter_width = filter.dim_size(1)};
    if (c->filter_height == 1 && c->filter_width == 1 &&
        is_fast(Direction::kInputGradient, *c, std::is_same_v<T, float>))
      return absl::OkStatus();
    return absl::InvalidArgumentError(fmt::format("{}: no kernel for images {} and a filter {} in {}",
                                                  this->type_string(), image.DebugString(), filter.DebugString(),
                                                  tf::DataTypeString(tf::DataTypeToEnum<T>::value)));
  }

  // Outputs 0 and 3. In place where that can be: every pass reads a place before it writes it.
  absl::Status allocate(tf::OpKernelContext* context, const tf::Tensor& x,
                        typename NormalizeGradBase<T>::Gradient* gradient, tf::Tensor** arrived) const {
    tf::Tensor *dx = nullptr, *dside = nullptr;
    TF_RETURN_IF_ERROR(context->allocate_output(0, x.shape(), &dx));
    *arrived = dx;
    if (this->num_side_ > 0) {
      int forwarded = -1;
      TF_RETURN_IF_ERROR(context->forward_input_or_allocate_output(
          num_more_ > 0 ? std::vector<int>{2} : std::vector<int>{}, 3, x.shape(), &dside, &forwarded));
      // What arrives from elsewhere is read until it is summed.
      if (forwarded < 0) *arrived = dside;
      gradient->n.g = elements<T>(dside);
    }
    gradient->n.dx = elements<T>(dx);
    return absl::OkStatus();
  }

  int num_more_ = 0;
};

#define MOX_REGISTER(T)                                                                                        \
  REGISTER_KERNEL_BUILDER(Name("MoxConvolutionNormalizeGrad").Device(tf::DEVICE_CPU).TypeConstraint<T>("T"), \
                          ConvolutionNormalizeGradOp<T>);
MOX_REGISTER(float)
MOX_REGISTER(Eigen::bfloat16)
#undef MOX_REGISTER

}  // namespace
}  // namespace mox::kernels
