// Batch norm's sums over the rows of a matrix [rows, channels], which is looked at part by part: each part's rows from
// its first to its last by one thread, different parts by several at once. The same numbers whoever does it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/batch_norm_loops.h"

namespace mox::kernels {

class MomentsOfParts {
 public:
  MomentsOfParts(int64_t parts, int64_t channels)
      : channels_(channels), totals_(parts), sums_(static_cast<size_t>(parts) * channels * 5) {}

  template <typename T>
  void add(int64_t part, const T* x, int64_t begin, int64_t end) {
    float* mine = sums_.data() + part * channels_ * 5;
    add_moments(x, begin, end, channels_, &totals_[part], mine, mine + channels_, mine + 2 * channels_);
  }

  // Vectors of channels. As FusedBatchNormV3: the moving average takes the unbiased variance; no rows give NaN, as
  // there.
  void finish(float* mean, float* unbiased_variance, float* variance) const {
    std::vector<float> squares(channels_);
    std::fill_n(mean, channels_, 0.f);
    int64_t total = 0;
    for (size_t part = 0; part < totals_.size(); ++part) {
      const float* theirs = sums_.data() + part * channels_ * 5;
      if (totals_[part] > 0)
        join_moments(channels_, totals_[part], theirs, theirs + channels_, &total, mean, squares.data());
    }
    const float count = static_cast<float>(total), less = static_cast<float>(std::max<int64_t>(total - 1, 1));
    for (int64_t c = 0; c < channels_; ++c) {
      unbiased_variance[c] = squares[c] / less;
      variance[c] = squares[c] / count;
    }
  }

 private:
  int64_t channels_;
  std::vector<int64_t> totals_;
  std::vector<float> sums_;
};

// Of NormalizationGradient: sums in float over few rows, joined in double.
class GradientSumsOfParts {
 public:
  GradientSumsOfParts(int64_t parts, int64_t channels)
      : channels_(channels),
        counts_(parts),
        few_(static_cast<size_t>(parts) * channels * 2),
        sums_(static_cast<size_t>(parts) * channels * 2) {}

  template <typename T>
  void add(int64_t part, const NormalizationGradient<T>& n, int64_t begin, int64_t end) {
    constexpr int64_t kFew = 256;
    float* few = few_.data() + part * channels_ * 2;
    for (int64_t r = begin; r < end;) {
      const int64_t rows = std::min(end - r, kFew - counts_[part]);
      gradient_sums(n, r, r + rows, few, few + channels_);
      r += rows;
      if ((counts_[part] += rows) == kFew) join(part);
    }
  }

  // Sums of g and g * (x - mean), each a vector of channels.
  void finish(double* sum_g, double* sum_gx) {
    std::fill_n(sum_g, channels_, 0.);
    std::fill_n(sum_gx, channels_, 0.);
    for (size_t part = 0; part < counts_.size(); ++part) {
      join(part);
      const double* theirs = sums_.data() + part * channels_ * 2;
      for (int64_t c = 0; c < channels_; ++c) {
        sum_g[c] += theirs[c];
        sum_gx[c] += theirs[channels_ + c];
      }
    }
  }

 private:
  void join(int64_t part) {
    float* few = few_.data() + part * channels_ * 2;
    double* sums = sums_.data() + part * channels_ * 2;
    for (int64_t i = 0; i < channels_ * 2; ++i) sums[i] += few[i];
    std::fill_n(few, channels_ * 2, 0.f);
    counts_[part] = 0;
  }

  int64_t channels_;
  std::vector<int64_t> counts_;
  std::vector<float> few_;
  std::vector<double> sums_;
};

}  // namespace mox::kernels
