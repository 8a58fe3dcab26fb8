// The gradient of a convolution's input and, as it comes, the sums for the gradient of the batch norm that made this
// input: passes/norm_in_convolutions.h puts it in. What arrives at the norm is in the cache then.
#include <fmt/format.h>

#include "convolutions/depthwise.h"
#include "kernels/batch_norm_op.h"
#include "kernels/depthwise_op.h"
#include "tensorflow/core/framework/op.h"

namespace mox::kernels {
namespace {

using convolutions::Convolution;
using convolutions::Depthwise;
using convolutions::Direction;
using convolutions::RowParts;
using convolutions::RowsDone;
using convolutions::StridedSide;

// As MoxNormalizeGrad of what MoxConvolutionInputGradient (where it tells of rows) or
// MoxDepthwiseConvolutionInputGradient gives, and of `more_dy`. With more_stride > 1, which goes with 1x1 filters and
// stride 1, that is only the pixels whose line and column are multiples of it, [batch, ceil(height / more_stride),
// ceil(width / more_stride), channels]; all others' is 0.
#define MOX_REGISTER(name, paddings)                                              \
  REGISTER_OP(name)                                                               \
      .Input("filter: T")                                                         \
      .Input("dz: T")                                                             \
      .Input("more_dy: num_more * T")                                             \
      .Input("x: T")                                                              \
      .Input("y: num_side * T")                                                   \
      .Input("mean: float")                                                       \
      .Input("variance: float")                                                   \
      .Input("scale: float")                                                      \
      .Input("offset: float")                                                     \
      .Output("dx: T")                                                            \
      .Output("dscale: float")                                                    \
      .Output("doffset: float")                                                   \
      .Output("dside: num_side * T")                                              \
      .Attr("T: {float, bfloat16}")                                               \
      .Attr("num_more: int >= 0 = 0")                                             \
      .Attr("more_stride: int >= 1 = 1")                                          \
      .Attr("num_side: int >= 0")                                                 \
      .Attr("stride: int >= 1 = 1")                                               \
      .Attr("padding: {'SAME', 'VALID'" paddings "}")                             \
      .Attr("explicit_paddings: list(int) = []")                                  \
      .Attr("epsilon: float")                                                     \
      .Attr("activation: {'', 'Relu', 'Relu6'}")                                  \
      .SetShapeFn([](tf::shape_inference::InferenceContext* c) {                  \
        int num_more = 0;                                                         \
        TF_RETURN_IF_ERROR(c->GetAttr("num_more", &num_more));                    \
        const int x = 2 + num_more, scale = c->num_inputs() - 2;                  \
        c->set_output(0, c->input(x));                                            \
        c->set_output(1, c->input(scale));                                        \
        c->set_output(2, c->input(scale));                                        \
        for (int i = 3; i < c->num_outputs(); ++i) c->set_output(i, c->input(x)); \
        return absl::OkStatus();                                                  \
      });
MOX_REGISTER("MoxConvolutionNormalizeGrad", ", 'EXPLICIT'")
MOX_REGISTER("MoxDepthwiseConvolutionNormalizeGrad", "")
#undef MOX_REGISTER

// The gradient of the input of one kind of convolution, for images [batch, height, width, channels].
template <typename T>
class Pointwise {
 public:
  absl::Status describe(const Window& window, const tf::OpKernel& kernel, const tf::TensorShape& image,
                        const tf::TensorShape& filter) {
    const auto is_ours = [](const Convolution& c) {
      return tells_rows(c) && is_fast(Direction::kInputGradient, c, std::is_same_v<T, float>);
    };
    return window.describe(kernel, tf::DataTypeToEnum<T>::value, image, filter, is_ours, &c_);
  }
  tf::TensorShape shape_of_dz() const { return {c_.batch, c_.out_height, c_.out_width, c_.filters}; }
  RowParts parts() const { return parts_of_input(c_); }
  static constexpr bool kTakesStridedSide = true;
  bool takes_strided_side() const { return takes_prologue(c_); }
  void compute(const tf::Tensor& filter, const tf::Tensor& dz, const StridedSide& side, Element<T>* to,
               const RowsDone& done, Work* work) const {
    gradient_of_input(c_, elements<T>(filter), elements<T>(dz), to, done, work->resources(), side);
  }

 private:
  Convolution c_;
};

template <typename T>
class OfDepthwise {
 public:
  absl::Status describe(const Window& window, const tf::OpKernel& kernel, const tf::TensorShape& image,
                        const tf::TensorShape& filter) {
    return describe_depthwise(window, kernel, tf::DataTypeToEnum<T>::value, image, filter, &d_);
  }
  tf::TensorShape shape_of_dz() const { return {d_.batch, d_.out_height, d_.out_width, d_.channels}; }
  RowParts parts() const { return parts_of_input(d_); }
  static constexpr bool kTakesStridedSide = false;
  static bool takes_strided_side() { return false; }
  void compute(const tf::Tensor& filter, const tf::Tensor& dz, const StridedSide& /*side*/, Element<T>* to,
               const RowsDone& done, Work* work) const {
    depthwise_input_gradient(d_, widened<T>(filter, work), elements<T>(dz), to, done, *convolutions::depthwise_loops(),
                             work->resources());
  }

 private:
  Depthwise d_;
};

template <typename T, template <typename> class Kind>
class ConvolutionNormalizeGradOp : public NormalizeGradBase<T> {
 public:
  explicit ConvolutionNormalizeGradOp(tf::OpKernelConstruction* context) : NormalizeGradBase<T>(context) {
    OP_REQUIRES_OK(context, window_.load(context));
    OP_REQUIRES_OK(context, context->GetAttr("num_more", &num_more_));
    OP_REQUIRES(context, num_more_ <= 1,
                absl::InvalidArgumentError(fmt::format("num_more is 0 or 1, not {}", num_more_)));
    OP_REQUIRES_OK(context, context->GetAttr("more_stride", &more_stride_));
    OP_REQUIRES(
        context, more_stride_ == 1 || Kind<T>::kTakesStridedSide,
        absl::InvalidArgumentError(fmt::format("{}: more_stride is 1, not {}", this->type_string(), more_stride_)));
  }

  void Compute(tf::OpKernelContext* context) override {
    const int first = 2 + num_more_;
    const tf::Tensor &filter = context->input(0), &dz = context->input(1), &x = context->input(first);
    OP_REQUIRES_OK(context, check(context, first));
    Kind<T> kind;
    OP_REQUIRES_OK(context, kind.describe(window_, *this, x.shape(), filter.shape()));
    OP_REQUIRES(context, dz.shape() == kind.shape_of_dz(),
                absl::InvalidArgumentError(fmt::format("gradient of a convolution: expected {}, got {}",
                                                       kind.shape_of_dz().DebugString(), dz.shape().DebugString())));
    OP_REQUIRES(context, !is_more_strided() || kind.takes_strided_side(),
                absl::InvalidArgumentError(fmt::format("{}: more_stride is 1 but with 1x1 filters and stride 1, not {}",
                                                       this->type_string(), more_stride_)));
    typename NormalizeGradBase<T>::Gradient gradient(x, kind.parts().parts);
    OP_REQUIRES_OK(context, this->describe(context, first, &gradient));
    OP_REQUIRES_OK(context, allocate(context, x, &gradient));
    auto& n = gradient.n;
    const Element<T>* more = num_more_ > 0 ? elements<T>(context->input(2)) : nullptr;
    n.more_dy = is_more_strided() ? nullptr : more;
    const StridedSide side{is_more_strided() ? more : nullptr, more_stride_};
    // What is kept is written where more_dy lay, or else where nobody has read before.
    const RowsDone done{[&](int64_t part, int64_t begin, int64_t end, const void* rows) {
                          gradient.sums.add(part, n.from_row(begin, static_cast<const Element<T>*>(rows)), 0,
                                            end - begin);
                        },
                        {n.x, n.y, n.more_dy ? n.more_dy : n.g}};
    // What is kept at the side is what the second pass reads.
    Element<T>* arrived = n.g ? nullptr : n.dx;
    n.dy = arrived;
    if (x.NumElements() > 0)
      with_work(context, [&](Work* work) { kind.compute(filter, dz, side, arrived, done, work); });
    if (context->status().ok()) this->finish(context, &gradient);
  }

 private:
  absl::Status check(tf::OpKernelContext* context, int first) const {
    const tf::Tensor& x = context->input(first);
    TF_RETURN_IF_ERROR(check_image(x));
    tf::TensorShape more = x.shape();
    for (const int size : {1, 2}) more.set_dim(size, (x.dim_size(size) + more_stride_ - 1) / more_stride_);
    for (int i = 2; i <= first + this->num_side_; ++i)
      if (const tf::TensorShape& wanted = i < first ? more : x.shape(); context->input(i).shape() != wanted)
        return absl::InvalidArgumentError(fmt::format("gradient of batch norm: input {} has shape {}, expected {}", i,
                                                      context->input(i).shape().DebugString(), wanted.DebugString()));
    return absl::OkStatus();
  }

  bool is_more_strided() const { return more_stride_ > 1; }

  // Outputs 0 and 3. In place where that can be: every pass reads a place before it writes it.
  absl::Status allocate(tf::OpKernelContext* context, const tf::Tensor& x,
                        typename NormalizeGradBase<T>::Gradient* gradient) const {
    tf::Tensor *dx = nullptr, *dside = nullptr;
    TF_RETURN_IF_ERROR(context->allocate_output(0, x.shape(), &dx));
    gradient->n.dx = elements<T>(dx);
    if (this->num_side_ == 0) return absl::OkStatus();
    TF_RETURN_IF_ERROR(context->forward_input_or_allocate_output(
        num_more_ > 0 && !is_more_strided() ? std::vector<int>{2} : std::vector<int>{}, 3, x.shape(), &dside));
    gradient->n.g = elements<T>(dside);
    return absl::OkStatus();
  }

  Window window_;
  int num_more_ = 0;
  int64_t more_stride_ = 1;
};

#define MOX_REGISTER(T)                                                                                               \
  REGISTER_KERNEL_BUILDER(Name("MoxConvolutionNormalizeGrad").Device(tf::DEVICE_CPU).TypeConstraint<T>("T"),          \
                          ConvolutionNormalizeGradOp<T, Pointwise>);                                                  \
  REGISTER_KERNEL_BUILDER(Name("MoxDepthwiseConvolutionNormalizeGrad").Device(tf::DEVICE_CPU).TypeConstraint<T>("T"), \
                          ConvolutionNormalizeGradOp<T, OfDepthwise>);
MOX_REGISTER(float)
MOX_REGISTER(Eigen::bfloat16)
#undef MOX_REGISTER

}  // namespace
}  // namespace mox::kernels
