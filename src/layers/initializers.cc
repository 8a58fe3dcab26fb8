#include "moxing/initializers.h"

#include <cmath>

#include "moxing/error.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace mox {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

namespace {

tf::Output shape_const(const Scope& scope, const tf::TensorShape& shape) {
  tf::Tensor dims(tf::DT_INT32, {shape.dims()});
  for (int i = 0; i < shape.dims(); ++i) dims.flat<int>()(i) = static_cast<int>(shape.dim_size(i));
  return ops::Const(scope.WithOpName("shape"), tf::Input::Initializer(dims));
}

tf::Output filled(const Scope& scope, const tf::TensorShape& shape, tf::DataType dtype, float value) {
  const tf::Output scalar = ops::Cast(scope, ops::Const(scope, value), dtype);
  return ops::Fill(scope, shape_const(scope, shape), scalar);
}

// value * scale + shift in the variable's dtype.
tf::Output affine(const Scope& scope, const tf::Output& value, float scale, float shift, tf::DataType dtype) {
  tf::Output result = ops::Multiply(scope, value, scale);
  if (shift != 0) result = ops::Add(scope, result, shift);
  return dtype == tf::DT_FLOAT ? result : tf::Output(ops::Cast(scope, result, dtype));
}

enum class Distribution { kTruncatedNormal, kNormal, kUniform };

tf::Output random(const Scope& scope, const tf::TensorShape& shape, tf::DataType dtype, Distribution distribution,
                  float scale, float shift) {
  const auto [seed, seed2] = scope.next_seed();
  const tf::Output dims = shape_const(scope, shape);
  tf::Output value;
  switch (distribution) {
    case Distribution::kTruncatedNormal:
      value = ops::TruncatedNormal(scope, dims, tf::DT_FLOAT, ops::TruncatedNormal::Seed(seed).Seed2(seed2));
      break;
    case Distribution::kNormal:
      value = ops::RandomNormal(scope, dims, tf::DT_FLOAT, ops::RandomNormal::Seed(seed).Seed2(seed2));
      break;
    case Distribution::kUniform:
      value = ops::RandomUniform(scope, dims, tf::DT_FLOAT, ops::RandomUniform::Seed(seed).Seed2(seed2));
      break;
  }
  return affine(scope, value, scale, shift, dtype);
}

// Fans of a weight [..., in, out]: the receptive field multiplies both.
std::pair<double, double> fans(const tf::TensorShape& shape) {
  if (shape.dims() < 1) return {1, 1};
  double field = 1;
  for (int i = 0; i + 2 < shape.dims(); ++i) field *= shape.dim_size(i);
  const double in = shape.dims() == 1 ? shape.dim_size(0) : shape.dim_size(shape.dims() - 2);
  const double out = shape.dim_size(shape.dims() - 1);
  return {in * field, out * field};
}

}  // namespace

Initializer constant_initializer(float value) {
  return [value](const Scope& scope, const tf::TensorShape& shape, tf::DataType dtype) {
    return filled(scope, shape, dtype, value);
  };
}

Initializer zeros_initializer() { return constant_initializer(0); }
Initializer ones_initializer() { return constant_initializer(1); }

Initializer truncated_normal_initializer(float stddev, float mean) {
  return [=](const Scope& scope, const tf::TensorShape& shape, tf::DataType dtype) {
    return random(scope, shape, dtype, Distribution::kTruncatedNormal, stddev, mean);
  };
}

Initializer random_normal_initializer(float stddev, float mean) {
  return [=](const Scope& scope, const tf::TensorShape& shape, tf::DataType dtype) {
    return random(scope, shape, dtype, Distribution::kNormal, stddev, mean);
  };
}

Initializer random_uniform_initializer(float low, float high) {
  return [=](const Scope& scope, const tf::TensorShape& shape, tf::DataType dtype) {
    return random(scope, shape, dtype, Distribution::kUniform, high - low, low);
  };
}

Initializer variance_scaling_initializer(const VarianceScalingOptions& options) {
  return [options](const Scope& scope, const tf::TensorShape& shape, tf::DataType dtype) {
    const auto [fan_in, fan_out] = fans(shape);
    const double n = options.mode == VarianceScalingOptions::kFanIn    ? fan_in
                     : options.mode == VarianceScalingOptions::kFanOut ? fan_out
                                                                       : (fan_in + fan_out) / 2;
    if (options.uniform) {
      const float limit = std::sqrt(3.0 * options.factor / n);
      return random(scope, shape, dtype, Distribution::kUniform, 2 * limit, -limit);
    }
    // 1.3: what cutting the normal at two deviations takes from its variance.
    const float stddev = std::sqrt(1.3 * options.factor / n);
    return random(scope, shape, dtype, Distribution::kTruncatedNormal, stddev, 0);
  };
}

Initializer xavier_initializer(bool uniform) {
  return variance_scaling_initializer({.factor = 1.0f, .mode = VarianceScalingOptions::kFanAvg, .uniform = uniform});
}

}  // namespace mox
