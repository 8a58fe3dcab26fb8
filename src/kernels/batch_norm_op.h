// What the operations of batch norm share: its matrix, its parameters, and its gradient.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "kernels/affine.h"
#include "kernels/batch_norm_loops.h"
#include "kernels/batch_norm_sums.h"
#include "kernels/elements.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/platform/threadpool.h"

namespace mox::kernels {

namespace tf = tensorflow;

// The matrix of a tensor, and its parts: as many whatever the threads, so that results do not depend on them.
struct Rows {
  int64_t rows, channels, parts;

  explicit Rows(const tf::Tensor& x)
      : rows(x.dim_size(0) * x.dim_size(1) * x.dim_size(2)),
        channels(x.dim_size(3)),
        parts(std::clamp<int64_t>(x.NumElements() / 65536, 1, 16)) {}
  int64_t begin(int64_t part) const { return rows * part / parts; }
};

inline void for_each_part(tf::OpKernelContext* context, const Rows& rows, const std::function<void(int64_t)>& work) {
  tf::thread::ThreadPool* pool = context->device()->tensorflow_cpu_worker_threads()->workers;
  using Parameters = tf::thread::ThreadPool::SchedulingParams;
  pool->ParallelFor(rows.parts, Parameters::Fixed(1), [&](int64_t first, int64_t last) {
    for (int64_t part = first; part < last; ++part) work(part);
  });
}

inline absl::Status check_image(const tf::Tensor& x) {
  if (x.dims() == 4) return absl::OkStatus();
  return absl::InvalidArgumentError("batch norm: expected [batch, height, width, channels], got " +
                                    x.shape().DebugString());
}

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
  absl::Status affine(tf::OpKernelContext* context, int first, int64_t channels, Affine* a) const {
    return affine_of(context, first, channels, epsilon_, a);
  }

  float epsilon_ = 0;
  int num_side_ = 0;
  Clamp clamp_{};
};

// The gradient of what an operation normalised, once the gradient of the result is there.
template <typename T>
class NormalizeGradBase : public NormalizeBase<T> {
 public:
  using NormalizeBase<T>::NormalizeBase;

 protected:
  struct Gradient {
    Gradient(const tf::Tensor& x, int64_t parts) : rows(x), sums(parts, rows.channels) {}

    Rows rows;
    Affine affine;
    NormalizationGradient<Element<T>> n{};
    GradientSumsOfParts sums;
    float *dscale = nullptr, *doffset = nullptr;
  };

  // Inputs x, y where something was added, mean, variance, scale and offset, from `first` on; outputs 1 and 2. Who
  // calls it adds what arrives, n.dy and n.more_dy, and where the results go, n.dx and n.g.
  absl::Status describe(tf::OpKernelContext* context, int first, Gradient* gradient) const {
    const tf::Tensor& x = context->input(first);
    const int parameters = first + 1 + this->num_side_;
    TF_RETURN_IF_ERROR(this->affine(context, parameters, gradient->rows.channels, &gradient->affine));
    tf::Tensor *dscale = nullptr, *doffset = nullptr;
    TF_RETURN_IF_ERROR(context->allocate_output(1, {gradient->rows.channels}, &dscale));
    TF_RETURN_IF_ERROR(context->allocate_output(2, {gradient->rows.channels}, &doffset));
    gradient->dscale = dscale->flat<float>().data();
    gradient->doffset = doffset->flat<float>().data();
    auto& n = gradient->n;
    n.channels = gradient->rows.channels;
    n.x = elements<T>(x);
    n.y = this->num_side_ > 0 ? elements<T>(context->input(first + 1)) : nullptr;
    n.scale = gradient->affine.scale.data();
    n.shift = gradient->affine.shift.data();
    n.mean = context->input(parameters).template flat<float>().data();
    n.clamp = this->clamp_;
    return absl::OkStatus();
  }

  // After all rows were added to `sums`.
  void finish(tf::OpKernelContext* context, Gradient* gradient) const {
    const int64_t channels = gradient->rows.channels;
    const auto& a = gradient->affine;
    const double rows = static_cast<double>(gradient->rows.rows);
    std::vector<double> sum_g(channels), sum_gx(channels);
    gradient->sums.finish(sum_g.data(), sum_gx.data());
    std::vector<float> of_x(channels), constant(channels);
    for (int64_t c = 0; c < channels; ++c) {
      gradient->doffset[c] = static_cast<float>(sum_g[c]);
      gradient->dscale[c] = static_cast<float>(sum_gx[c] * a.inverse_deviation[c]);
      // dx = scale / deviation * (g - mean(g) - (x - mean) / variance * mean(g * (x - mean)))
      const float mean_g = static_cast<float>(sum_g[c] / rows);
      of_x[c] = -a.scale[c] * a.inverse_deviation[c] * a.inverse_deviation[c] * static_cast<float>(sum_gx[c] / rows);
      constant[c] = -a.scale[c] * mean_g - of_x[c] * gradient->n.mean[c];
    }
    for_each_part(context, gradient->rows, [&](int64_t part) {
      input_gradient(gradient->n, gradient->rows.begin(part), gradient->rows.begin(part + 1), a.scale.data(),
                     of_x.data(), constant.data());
    });
  }
};

}  // namespace mox::kernels
