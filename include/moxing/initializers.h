// Initial values of variables, with TF-slim's defaults.
#pragma once

#include "moxing/export.h"
#include "moxing/scope.h"

namespace mox {

// All 0.
MOX_EXPORT Initializer zeros_initializer();
// All 1.
MOX_EXPORT Initializer ones_initializer();
// All `value`.
MOX_EXPORT Initializer constant_initializer(float value);
// Normal, values beyond two standard deviations drawn again.
MOX_EXPORT Initializer truncated_normal_initializer(float stddev, float mean = 0);
// Normal. Random initializers draw in 32 bits, from the graph's seed where it has one, and cast to the variable's
// dtype.
MOX_EXPORT Initializer random_normal_initializer(float stddev, float mean = 0);
// Even over [low, high).
MOX_EXPORT Initializer random_uniform_initializer(float low, float high);

struct VarianceScalingOptions {
  float factor = 2.0f;  // of the variance
  enum Mode { kFanIn, kFanOut, kFanAvg } mode = kFanIn;
  bool uniform = false;  // else truncated normal
};
// Variance factor / fan (He et al. 2015); TF-slim's variance_scaling_initializer.
MOX_EXPORT Initializer variance_scaling_initializer(const VarianceScalingOptions& options = {});
// Glorot and Bengio 2010: the default of slim's conv2d and fully_connected.
MOX_EXPORT Initializer xavier_initializer(bool uniform = true);

}  // namespace mox
