// MoxFoldBatchNorm: weights and bias of the convolution that does what another and the batch norm behind it do.
// passes/fold_batch_norm.h puts it in.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/mutex.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace mox::kernels {
namespace {

namespace tf = tensorflow;
using tf::shape_inference::InferenceContext;

REGISTER_OP("MoxFoldBatchNorm")
    .Input("weights: float")
    .Input("mean: float")
    .Input("variance: float")
    .Input("bias: num_bias * float")
    .Input("scale: num_scale * float")
    .Input("offset: num_offset * float")
    .Output("folded_weights: T")
    .Output("folded_bias: T")
    .Attr("T: {float, bfloat16, half}")
    .Attr("num_bias: int >= 0")
    .Attr("num_scale: int >= 0")
    .Attr("num_offset: int >= 0")
    .Attr("epsilon: float")
    .Attr("depthwise: bool")
    .SetShapeFn([](InferenceContext* c) {
      c->set_output(0, c->input(0));
      c->set_output(1, c->input(1));
      return absl::OkStatus();
    });

// Pure: what it keeps is of inputs that it holds, so that an assignment to one of them, which leaves what others hold
// alone, shows as another buffer.
template <typename T>
class FoldBatchNormOp : public tf::OpKernel {
 public:
  explicit FoldBatchNormOp(tf::OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("epsilon", &epsilon_));
    OP_REQUIRES_OK(context, context->GetAttr("depthwise", &depthwise_));
  }

  // Nearly always it only hands on: not worth another thread.
  bool IsExpensive() override { return false; }

  void Compute(tf::OpKernelContext* context) override {
    const MutexLock lock(mutex_);
    if (!are_held(context)) OP_REQUIRES_OK(context, fold(context));
    context->set_output(0, weights_);
    context->set_output(1, bias_);
  }

 private:
  bool are_held(tf::OpKernelContext* context) const MOX_REQUIRES(mutex_) {
    for (size_t i = 0; i < held_.size(); ++i) {
      const tf::Tensor& now = context->input(static_cast<int>(i));
      if (now.data() != held_[i].data() || !now.SharesBufferWith(held_[i])) return false;
    }
    return !held_.empty();
  }

  // The only input of the list `name`, or `otherwise` where it has none.
  static absl::Status vector(tf::OpKernelContext* context, const char* name, int64_t size, float otherwise,
                             std::vector<double>* values) {
    tf::OpInputList list;
    TF_RETURN_IF_ERROR(context->input_list(name, &list));
    values->assign(size, otherwise);
    if (list.size() == 0) return absl::OkStatus();
    if (list.size() != 1 || list[0].shape() != tf::TensorShape({size}))
      return absl::InvalidArgumentError(fmt::format("{} of batch norm: expected one of {} channels, got {} of {}", name,
                                                    size, list.size(), list[0].shape().DebugString()));
    const auto flat = list[0].flat<float>();
    std::copy_n(flat.data(), size, values->data());
    return absl::OkStatus();
  }

  absl::Status fold(tf::OpKernelContext* context) MOX_REQUIRES(mutex_) {
    const tf::Tensor &weights = context->input(0), &mean = context->input(1), &variance = context->input(2);
    if (weights.dims() != 4)
      return absl::InvalidArgumentError("folding batch norm: expected a filter of 4 dimensions, got " +
                                        weights.shape().DebugString());
    const int64_t channels = weights.dim_size(3) * (depthwise_ ? weights.dim_size(2) : 1);
    for (const tf::Tensor* vector : {&mean, &variance})
      if (vector->shape() != tf::TensorShape({channels}))
        return absl::InvalidArgumentError(fmt::format("moving averages of batch norm: expected {} channels, got {}",
                                                      channels, vector->shape().DebugString()));
    std::vector<double> bias, scale, offset;
    TF_RETURN_IF_ERROR(vector(context, "bias", channels, 0, &bias));
    TF_RETURN_IF_ERROR(vector(context, "scale", channels, 1, &scale));
    TF_RETURN_IF_ERROR(vector(context, "offset", channels, 0, &offset));
    held_.clear();  // before what is held changes: also an error leaves nothing that is half made
    TF_RETURN_IF_ERROR(context->allocate_temp(tf::DataTypeToEnum<T>::value, weights.shape(), &weights_));
    TF_RETURN_IF_ERROR(context->allocate_temp(tf::DataTypeToEnum<T>::value, mean.shape(), &bias_));
    std::vector<float> factors(channels);
    for (int64_t c = 0; c < channels; ++c) {
      const double factor = scale[c] / std::sqrt(static_cast<double>(variance.flat<float>()(c)) + epsilon_);
      factors[c] = static_cast<float>(factor);
      bias_.flat<T>()(c) = static_cast<T>(static_cast<float>((bias[c] - mean.flat<float>()(c)) * factor + offset[c]));
    }
    const float* from = weights.flat<float>().data();
    T* to = weights_.flat<T>().data();
    for (int64_t row = 0; row < weights.NumElements() / std::max<int64_t>(channels, 1); ++row)
      for (int64_t c = 0; c < channels; ++c, ++from, ++to) *to = static_cast<T>(*from * factors[c]);
    for (int i = 0; i < context->num_inputs(); ++i) held_.push_back(context->input(i));
    return absl::OkStatus();
  }

  float epsilon_ = 0;
  bool depthwise_ = false;
  Mutex mutex_;
  std::vector<tf::Tensor> held_ MOX_GUARDED_BY(mutex_);  // the inputs of what is kept
  tf::Tensor weights_ MOX_GUARDED_BY(mutex_), bias_ MOX_GUARDED_BY(mutex_);
};

#define MOX_REGISTER(T) \
  REGISTER_KERNEL_BUILDER(Name("MoxFoldBatchNorm").Device(tf::DEVICE_CPU).TypeConstraint<T>("T"), FoldBatchNormOp<T>)
MOX_REGISTER(float);
MOX_REGISTER(Eigen::bfloat16);
MOX_REGISTER(Eigen::half);
#undef MOX_REGISTER

}  // namespace
}  // namespace mox::kernels
