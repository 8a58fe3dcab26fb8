// A batch norm as y = x * scale + shift, by its four vectors of channels.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <vector>

#include "tensorflow/core/framework/op_kernel.h"

namespace mox::kernels {

inline absl::Status check_vector(const tensorflow::Tensor& v, int64_t channels, const char* what) {
  if (v.dims() == 1 && v.dim_size(0) == channels) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("batch norm: expected {} of {} channels, got {}", what, channels, v.shape().DebugString()));
}

struct Affine {
  std::vector<float> inverse_deviation, scale, shift;
};

// Of inputs mean, variance, scale and offset, from `first` on.
inline absl::Status affine_of(tensorflow::OpKernelContext* context, int first, int64_t channels, float epsilon,
                              Affine* a) {
  const char* names[] = {"mean", "variance", "scale", "offset"};
  for (int i = 0; i < 4; ++i) TF_RETURN_IF_ERROR(check_vector(context->input(first + i), channels, names[i]));
  const auto mean = context->input(first).flat<float>(), variance = context->input(first + 1).flat<float>(),
             scale = context->input(first + 2).flat<float>(), offset = context->input(first + 3).flat<float>();
  for (std::vector<float>* v : {&a->inverse_deviation, &a->scale, &a->shift}) v->resize(channels);
  for (int64_t c = 0; c < channels; ++c) {
    a->inverse_deviation[c] = 1 / std::sqrt(variance(c) + epsilon);
    a->scale[c] = scale(c) * a->inverse_deviation[c];
    a->shift[c] = offset(c) - mean(c) * a->scale[c];
  }
  return absl::OkStatus();
}

}  // namespace mox::kernels
