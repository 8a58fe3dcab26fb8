// The moments of what a convolution gives, for the batch norm behind it: outputs 1 to 3, as MoxMoments', of rows that
// are still in the cache.
#pragma once

#include <fmt/format.h>

#include "convolutions/rows.h"
#include "kernels/batch_norm_sums.h"
#include "kernels/elements.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace mox::kernels {

constexpr int kMoments = 3;  // mean, unbiased variance, variance

inline absl::Status shapes_of_moments(tensorflow::shape_inference::InferenceContext* c) {
  for (int i = 1; i < c->num_outputs(); ++i) c->set_output(i, c->Vector(c->Dim(c->output(0), 3)));
  return absl::OkStatus();
}

inline absl::Status check_num_moments(int num_moments) {
  if (num_moments == 0 || num_moments == kMoments) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format("num_moments is 0 or {}, not {}", kMoments, num_moments));
}

template <typename T>
class MomentsOfOutput {
 public:
  // num_moments: 0 or kMoments.
  MomentsOfOutput(int num_moments, const convolutions::RowParts& parts, int64_t channels)
      : wanted_(num_moments > 0), channels_(channels), sums_(wanted_ ? parts.parts : 0, channels) {}

  convolutions::RowsDone rows_done() {
    if (!wanted_) return {};
    return {[this](int64_t part, int64_t begin, int64_t end, const void* rows) {
      sums_.add(part, static_cast<const Element<T>*>(rows), 0, end - begin);
    }};
  }

  absl::Status give(tensorflow::OpKernelContext* context) const {
    if (!wanted_) return absl::OkStatus();
    float* to[kMoments];
    for (int i = 0; i < kMoments; ++i) {
      tensorflow::Tensor* output = nullptr;
      TF_RETURN_IF_ERROR(context->allocate_output(1 + i, {channels_}, &output));
      to[i] = output->flat<float>().data();
    }
    sums_.finish(to[0], to[1], to[2]);
    return absl::OkStatus();
  }

 private:
  const bool wanted_;
  const int64_t channels_;
  MomentsOfParts sums_;
};

}  // namespace mox::kernels
