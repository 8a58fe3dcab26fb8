// The batch norm, with its clamp, of what a convolution takes: computed where it is read, so that nobody keeps its
// result. Operations have it as `norm: num_norm * float`, 0 inputs or mean, variance, scale and offset, and as
// attributes norm_epsilon and norm_activation.
#pragma once

#include <fmt/format.h>

#include <string>

#include "convolutions/loops.h"
#include "kernels/affine.h"
#include "kernels/clamp.h"

namespace mox::kernels {

class NormOfInput {
 public:
  absl::Status load(tensorflow::OpKernelConstruction* context) {
    std::string activation;
    TF_RETURN_IF_ERROR(context->GetAttr("num_norm", &count_));
    TF_RETURN_IF_ERROR(context->GetAttr("norm_epsilon", &epsilon_));
    TF_RETURN_IF_ERROR(context->GetAttr("norm_activation", &activation));
    clamp_ = clamp_of(activation);
    if (count_ == 0 || count_ == 4) return absl::OkStatus();
    return absl::InvalidArgumentError(fmt::format("num_norm is 0 or 4, not {}", count_));
  }

  bool is_there() const { return count_ > 0; }

  // Of the inputs from `first` on. `affine` holds what it points to.
  absl::Status prologue(tensorflow::OpKernelContext* context, int first, int64_t channels, Affine* affine,
                        convolutions::Prologue* prologue) const {
    if (!is_there()) return absl::OkStatus();
    TF_RETURN_IF_ERROR(affine_of(context, first, channels, epsilon_, affine));
    *prologue = {affine->scale.data(), affine->shift.data(), clamp_.floor, clamp_.ceiling};
    return absl::OkStatus();
  }

 private:
  int count_ = 0;
  float epsilon_ = 0;
  Clamp clamp_{};
};

}  // namespace mox::kernels
