// Batch norm in training, with what surrounds it in a network: the clamp of ReLU or ReLU6 after it, a residual added
// before that, and the sum of gradients that arrive. passes/fuse_batch_norm.h puts them in; they read and write memory
// about half as often as the separate operations (where a ResNet-50 step spends a third of its time).
#include <fmt/format.h>

#include "kernels/batch_norm_loops.h"
#include "kernels/elements.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/platform/threadpool.h"

namespace mox::kernels {
namespace {

namespace tf = tensorflow;
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

// The matrix of a tensor, and its parts: as many whatever the threads, so that results do not depend on them.
struct Rows {
  int64_t rows, channels, parts;

  explicit Rows(const tf::Tensor& x)
      : rows(x.dim_size(0) * x.dim_size(1) * x.dim_size(2)),
        channels(x.dim_size(3)),
        parts(std::clamp<int64_t>(x.NumElements() / 65536, 1, 16)) {}
  int64_t begin(int64_t part) const { return rows * part / parts; }
};

void for_each_part(tf::OpKernelContext* context, const Rows& rows, const std::function<void(int64_t)>& work) {
  tf::thread::ThreadPool* pool = context->device()->tensorflow_cpu_worker_threads()->workers;
  using Parameters = tf::thread::ThreadPool::SchedulingParams;
  pool->ParallelFor(rows.parts, Parameters::Fixed(1), [&](int64_t first, int64_t last) {
    for (int64_t part = first; part < last; ++part) work(part);
  });
}

absl::Status check_image(const tf::Tensor& x) {
  if (x.dims() == 4) return absl::OkStatus();
  return absl::InvalidArgumentError("batch norm: expected [batch, height, width, channels], got " +
                                    x.shape().DebugString());
}

absl::Status check_vector(const tf::Tensor& v, int64_t channels, const char* what) {
  if (v.dims() == 1 && v.dim_size(0) == channels) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("batch norm: expected {} of {} channels, got {}", what, channels, v.shape().DebugString()));
}

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
    std::vector<float> work(rows.parts * rows.channels * 4);
    const auto* data = elements<T>(x);
    for_each_part(context, rows, [&](int64_t part) {
      float* mine = work.data() + part * rows.channels * 4;
      moments(data, rows.begin(part), rows.begin(part + 1), rows.channels, mine, mine + rows.channels,
              mine + 2 * rows.channels);
    });
    float* mean = outputs[0]->flat<float>().data();
    std::vector<float> squares(rows.channels);
    std::fill_n(mean, rows.channels, 0.f);
    int64_t total = 0;
    for (int64_t part = 0; part < rows.parts; ++part) {
      const float* theirs = work.data() + part * rows.channels * 4;
      if (const int64_t count = rows.begin(part + 1) - rows.begin(part); count > 0)
        join_moments(rows.channels, count, theirs, theirs + rows.channels, &total, mean, squares.data());
    }
    // As FusedBatchNormV3: the moving average takes the unbiased variance; no rows give NaN, as there.
    const float count = static_cast<float>(rows.rows), less = static_cast<float>(std::max<int64_t>(rows.rows - 1, 1));
    for (int64_t c = 0; c < rows.channels; ++c) {
      outputs[1]->flat<float>()(c) = squares[c] / less;
      outputs[2]->flat<float>()(c) = squares[c] / count;
    }
  }
};

// What the normalisation and its gradient share.
template <typename T>
class NormalizeBase : public tf::OpKernel {
 public:
  explicit NormalizeBase(tf::OpKernelConstruction* context) : OpKernel(context) {
    std::string activation;
    OP_REQUIRES_OK(context, context->GetAttr("activation", &activation));
    OP_REQUIRES_OK(context, context->GetAttr("epsilon", &epsilon_));
    OP_REQUIRES_OK(context, context->GetAttr("num_side", &num_side_));
    OP_REQUIRES(context, num_side_ <= 1,
                absl::InvalidArgumentError(fmt::format("num_side is 0 or 1, not {}", num_side_)));
    clamp_ = clamp_of(activation);
  }

 protected:
  struct Affine {
    std::vector<float> inverse_deviation, scale, shift;
  };

  // Inputs mean, variance, scale and offset, from `first` on, as y = x * scale + shift.
  absl::Status affine(tf::OpKernelContext* context, int first, int64_t channels, Affine* a) const {
    const char* names[] = {"mean", "variance", "scale", "offset"};
    for (int i = 0; i < 4; ++i) TF_RETURN_IF_ERROR(check_vector(context->input(first + i), channels, names[i]));
    const auto mean = context->input(first).flat<float>(), variance = context->input(first + 1).flat<float>(),
               scale = context->input(first + 2).flat<float>(), offset = context->input(first + 3).flat<float>();
    for (std::vector<float>* v : {&a->inverse_deviation, &a->scale, &a->shift}) v->resize(channels);
    for (int64_t c = 0; c < channels; ++c) {
      a->inverse_deviation[c] = 1 / std::sqrt(variance(c) + epsilon_);
      a->scale[c] = scale(c) * a->inverse_deviation[c];
      a->shift[c] = offset(c) - mean(c) * a->scale[c];
    }
    return absl::OkStatus();
  }

  float epsilon_ = 0;
  int num_side_ = 0;
  Clamp clamp_{};
};

template <typename T>
class NormalizeOp : public NormalizeBase<T> {
 public:
  using NormalizeBase<T>::NormalizeBase;

  void Compute(tf::OpKernelContext* context) override {
    const tf::Tensor& x = context->input(0);
    OP_REQUIRES_OK(context, check_image(x));
    const Rows rows(x);
    typename NormalizeBase<T>::Affine a;
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
class NormalizeGradOp : public NormalizeBase<T> {
 public:
  explicit NormalizeGradOp(tf::OpKernelConstruction* context) : NormalizeBase<T>(context) {
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
    const int parameters = num_dy_ + 1 + this->num_side_;
    typename NormalizeBase<T>::Affine a;
    OP_REQUIRES_OK(context, this->affine(context, parameters, rows.channels, &a));
    tf::Tensor *dx = nullptr, *dscale = nullptr, *doffset = nullptr, *dside = nullptr;
    // In place: every pass reads a place before it writes it.
    if (this->num_side_ > 0) {
      OP_REQUIRES_OK(context, context->allocate_output(0, x.shape(), &dx));
      OP_REQUIRES_OK(context, context->forward_input_or_allocate_output(dy_inputs(), 3, x.shape(), &dside));
    } else {
      OP_REQUIRES_OK(context, context->forward_input_or_allocate_output(dy_inputs(), 0, x.shape(), &dx));
    }
    OP_REQUIRES_OK(context, context->allocate_output(1, {rows.channels}, &dscale));
    OP_REQUIRES_OK(context, context->allocate_output(2, {rows.channels}, &doffset));
    const NormalizationGradient<Element<T>> n{
        .channels = rows.channels,
        .dy = elements<T>(context->input(0)),
        .more_dy = num_dy_ > 1 ? elements<T>(context->input(1)) : nullptr,
        .x = elements<T>(x),
        .y = this->num_side_ > 0 ? elements<T>(context->input(num_dy_ + 1)) : nullptr,
        .scale = a.scale.data(),
        .shift = a.shift.data(),
        .mean = context->input(parameters).template flat<float>().data(),
        .clamp = this->clamp_,
        .g = dside ? elements<T>(dside) : nullptr,
        .dx = elements<T>(dx)};
    compute(context, n, rows, a, dscale->flat<float>().data(), doffset->flat<float>().data());
  }

 private:
  std::vector<int> dy_inputs() const { return num_dy_ > 1 ? std::vector<int>{0, 1} : std::vector<int>{0}; }

  void compute(tf::OpKernelContext* context, const NormalizationGradient<Element<T>>& n, const Rows& rows,
               const typename NormalizeBase<T>::Affine& a, float* dscale, float* doffset) const {
    const int64_t channels = rows.channels;
    std::vector<double> sums(rows.parts * channels * 2);
    for_each_part(context, rows, [&](int64_t part) { part_sums(n, rows, part, sums.data() + part * channels * 2); });
    std::vector<float> of_x(channels), constant(channels);
    for (int64_t c = 0; c < channels; ++c) {
      double sum_g = 0, sum_gx = 0;
      for (int64_t part = 0; part < rows.parts; ++part) {
        sum_g += sums[part * channels * 2 + c];
        sum_gx += sums[part * channels * 2 + channels + c];
      }
      doffset[c] = static_cast<float>(sum_g);
      dscale[c] = static_cast<float>(sum_gx * a.inverse_deviation[c]);
      // dx = scale / deviation * (g - mean(g) - (x - mean) / variance * mean(g * (x - mean)))
      const float mean_g = static_cast<float>(sum_g / rows.rows);
      of_x[c] = -a.scale[c] * a.inverse_deviation[c] * a.inverse_deviation[c] * static_cast<float>(sum_gx / rows.rows);
      constant[c] = -a.scale[c] * mean_g - of_x[c] * n.mean[c];
    }
    for_each_part(context, rows, [&](int64_t part) {
      input_gradient(n, rows.begin(part), rows.begin(part + 1), a.scale.data(), of_x.data(), constant.data());
    });
  }

  // Sums in float over few rows, joined in double.
  static void part_sums(const NormalizationGradient<Element<T>>& n, const Rows& rows, int64_t part, double* sums) {
    constexpr int64_t kBlock = 256;
    std::vector<float> block(rows.channels * 2);
    for (int64_t r = rows.begin(part); r < rows.begin(part + 1); r += kBlock) {
      std::fill(block.begin(), block.end(), 0.f);
      gradient_sums(n, r, std::min(r + kBlock, rows.begin(part + 1)), block.data(), block.data() + rows.channels);
      for (int64_t i = 0; i < rows.channels * 2; ++i) sums[i] += block[i];
    }
  }

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
