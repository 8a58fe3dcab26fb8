// MoxFoldBatchNorm: weights and bias of the convolution that does what another and the batch norm behind it do.
// passes/fold_batch_norm.h puts it in. MoxFoldBatchNormOfVariables: the same where all inputs are read of variables,
// without an operation for each; passes/folded_variables.cc puts that in.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/mutex.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/resource_mgr.h"
#include "tensorflow/core/framework/resource_var.h"

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

// containers, names: of the variables, in the order of MoxFoldBatchNorm's inputs.
REGISTER_OP("MoxFoldBatchNormOfVariables")
    .Output("folded_weights: T")
    .Output("folded_bias: T")
    .Attr("containers: list(string)")
    .Attr("names: list(string)")
    .Attr("T: {float, bfloat16, half}")
    .Attr("num_bias: int >= 0")
    .Attr("num_scale: int >= 0")
    .Attr("num_offset: int >= 0")
    .Attr("epsilon: float")
    .Attr("depthwise: bool")
    .SetIsStateful()
    .SetShapeFn(tf::shape_inference::UnknownShape);

// What it keeps is of tensors that it holds, so that an assignment to a variable, which leaves what others hold alone,
// shows as another buffer.
template <typename T>
class FoldBase : public tf::OpKernel {
 public:
  explicit FoldBase(tf::OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("epsilon", &epsilon_));
    OP_REQUIRES_OK(context, context->GetAttr("depthwise", &depthwise_));
    OP_REQUIRES_OK(context, context->GetAttr("num_bias", &num_bias_));
    OP_REQUIRES_OK(context, context->GetAttr("num_scale", &num_scale_));
    OP_REQUIRES_OK(context, context->GetAttr("num_offset", &num_offset_));
    for (const int number : {num_bias_, num_scale_, num_offset_})
      OP_REQUIRES(
          context, number <= 1,
          absl::InvalidArgumentError(fmt::format("folding batch norm: expected one of a kind, got {}", number)));
  }

  // Nearly always it only hands on: not worth another thread.
  bool IsExpensive() override { return false; }

  void Compute(tf::OpKernelContext* context) override {
    const MutexLock lock(mutex_);
    if (!are_held(context)) OP_REQUIRES_OK(context, fold(context));
    context->set_output(0, weights_);
    context->set_output(1, bias_);
  }

 protected:
  // How many tensors there are: weights, mean, variance, and what there is of bias, scale and offset.
  int count() const { return 3 + num_bias_ + num_scale_ + num_offset_; }
  static bool is_same(const tf::Tensor& now, const tf::Tensor& held) {
    return now.data() == held.data() && now.SharesBufferWith(held);
  }

 private:
  // Whether tensor i is `held` still; an error in reading it is left to read().
  virtual bool holds(tf::OpKernelContext* context, int i, const tf::Tensor& held) = 0;
  virtual absl::Status read(tf::OpKernelContext* context, int i, tf::Tensor* now) = 0;

  bool are_held(tf::OpKernelContext* context) MOX_REQUIRES(mutex_) {
    for (size_t i = 0; i < held_.size(); ++i)
      if (!holds(context, static_cast<int>(i), held_[i])) return false;
    return !held_.empty();
  }

  // Of the next tensor, where there is one, or `otherwise`.
  static absl::Status vector(const tf::Tensor* tensor, const char* name, int64_t size, float otherwise,
                             std::vector<double>* values) {
    values->assign(size, otherwise);
    if (!tensor) return absl::OkStatus();
    if (tensor->shape() != tf::TensorShape({size}))
      return absl::InvalidArgumentError(
          fmt::format("{} of batch norm: expected {} channels, got {}", name, size, tensor->shape().DebugString()));
    std::copy_n(tensor->flat<float>().data(), size, values->data());
    return absl::OkStatus();
  }

  absl::Status fold(tf::OpKernelContext* context) MOX_REQUIRES(mutex_) {
    held_.clear();  // before what is held changes: also an error leaves nothing that is half made
    std::vector<tf::Tensor> now(count());
    for (int i = 0; i < count(); ++i) TF_RETURN_IF_ERROR(read(context, i, &now[i]));
    const tf::Tensor &weights = now[0], &mean = now[1], &variance = now[2];
    if (weights.dims() != 4)
      return absl::InvalidArgumentError("folding batch norm: expected a filter of 4 dimensions, got " +
                                        weights.shape().DebugString());
    const int64_t channels = weights.dim_size(3) * (depthwise_ ? weights.dim_size(2) : 1);
    for (const tf::Tensor* vector : {&mean, &variance})
      if (vector->shape() != tf::TensorShape({channels}))
        return absl::InvalidArgumentError(fmt::format("moving averages of batch norm: expected {} channels, got {}",
                                                      channels, vector->shape().DebugString()));
    std::vector<double> bias, scale, offset;
    int next = 3;
    TF_RETURN_IF_ERROR(vector(num_bias_ ? &now[next++] : nullptr, "bias", channels, 0, &bias));
    TF_RETURN_IF_ERROR(vector(num_scale_ ? &now[next++] : nullptr, "scale", channels, 1, &scale));
    TF_RETURN_IF_ERROR(vector(num_offset_ ? &now[next++] : nullptr, "offset", channels, 0, &offset));
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
    held_ = std::move(now);
    return absl::OkStatus();
  }

  float epsilon_ = 0;
  bool depthwise_ = false;
  int num_bias_ = 0, num_scale_ = 0, num_offset_ = 0;
  Mutex mutex_;
  std::vector<tf::Tensor> held_ MOX_GUARDED_BY(mutex_);  // what it is folded of
  tf::Tensor weights_ MOX_GUARDED_BY(mutex_), bias_ MOX_GUARDED_BY(mutex_);
};

template <typename T>
class FoldBatchNormOp : public FoldBase<T> {
 public:
  using FoldBase<T>::FoldBase;

 private:
  bool holds(tf::OpKernelContext* context, int i, const tf::Tensor& held) override {
    return this->is_same(context->input(i), held);
  }
  absl::Status read(tf::OpKernelContext* context, int i, tf::Tensor* now) override {
    *now = context->input(i);
    return absl::OkStatus();
  }
};

template <typename T>
class FoldVariablesOp : public FoldBase<T> {
 public:
  explicit FoldVariablesOp(tf::OpKernelConstruction* context) : FoldBase<T>(context) {
    OP_REQUIRES_OK(context, context->GetAttr("containers", &containers_));
    OP_REQUIRES_OK(context, context->GetAttr("names", &names_));
    OP_REQUIRES(context, names_.size() == static_cast<size_t>(this->count()) && containers_.size() == names_.size(),
                absl::InvalidArgumentError(
                    fmt::format("folding batch norm: expected {} variables, got {} names in {} containers",
                                this->count(), names_.size(), containers_.size())));
    variables_.resize(names_.size());
  }

 private:
  // Both are called by one thread at a time.
  bool holds(tf::OpKernelContext*, int i, const tf::Tensor& held) override {
    tf::Var* const variable = variables_[i].get();
    const tf::tf_shared_lock lock(*variable->mu());
    return variable->is_initialized && this->is_same(*variable->tensor(), held);
  }
  absl::Status read(tf::OpKernelContext* context, int i, tf::Tensor* now) override {
    tf::ResourceMgr* const variables = context->resource_manager();
    tf::Var* found = nullptr;
    TF_RETURN_IF_ERROR(
        variables->Lookup(containers_[i].empty() ? variables->default_container() : containers_[i], names_[i], &found));
    variables_[i].reset(found);
    const tf::tf_shared_lock lock(*found->mu());
    if (!found->is_initialized)
      return absl::FailedPreconditionError(fmt::format("the variable {} has no value yet", names_[i]));
    if (found->tensor()->dtype() != tf::DT_FLOAT)
      return absl::InvalidArgumentError(fmt::format("folding batch norm: {} is no float32", names_[i]));
    *now = *found->tensor();
    return absl::OkStatus();
  }

  std::vector<std::string> containers_, names_;
  std::vector<tf::core::RefCountPtr<tf::Var>> variables_;
};

#define MOX_REGISTER(T)                                                                                                \
  REGISTER_KERNEL_BUILDER(Name("MoxFoldBatchNorm").Device(tf::DEVICE_CPU).TypeConstraint<T>("T"), FoldBatchNormOp<T>); \
  REGISTER_KERNEL_BUILDER(Name("MoxFoldBatchNormOfVariables").Device(tf::DEVICE_CPU).TypeConstraint<T>("T"),           \
                          FoldVariablesOp<T>)
MOX_REGISTER(float);
MOX_REGISTER(Eigen::bfloat16);
MOX_REGISTER(Eigen::half);
#undef MOX_REGISTER

}  // namespace
}  // namespace mox::kernels
