#include <cmath>

#include "graph/split_variables.h"
#include "layers/layout.h"
#include "moxing/error.h"
#include "moxing/layers.h"

namespace mox::layers {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

namespace {

// Statistics and their variables are at least 32 bits wide whatever the images are: sums over a batch need it.
tf::DataType statistics_type(const tf::Output& images) {
  return images.type() == tf::DT_DOUBLE ? tf::DT_DOUBLE : tf::DT_FLOAT;
}

tf::Output scalar(const Scope& scope, float value, tf::DataType type) {
  const tf::Output constant = ops::Const(scope, value);
  return type == tf::DT_FLOAT ? constant : tf::Output(ops::Cast(scope, constant, type));
}

struct Parameters {
  tf::DataType type = tf::DT_FLOAT;
  tf::Output gamma;  // null without scale
  tf::Output beta;   // null without center
  Variable moving_mean;
  Variable moving_variance;
};

Variable average(const Scope& scope, const char* name, int64_t channels, const Initializer& initializer,
                 tf::DataType type) {
  return scope.get_variable_object(name, {channels}, {.initializer = initializer, .trainable = false, .dtype = type});
}

Parameters make_parameters(const Scope& scope, int64_t channels, tf::DataType type, const BatchNormOptions& options) {
  Parameters p;
  p.type = type;
  if (options.center)
    p.beta = scope.get_variable("beta", {channels}, {.initializer = zeros_initializer(), .dtype = type});
  if (options.scale) {
    const Initializer init = options.gamma_initializer ? options.gamma_initializer : ones_initializer();
    p.gamma = scope.get_variable("gamma", {channels}, {.initializer = init, .dtype = type});
  }
  p.moving_mean = average(scope, "moving_mean", channels, zeros_initializer(), type);
  p.moving_variance = average(scope, "moving_variance", channels, ones_initializer(), type);
  return p;
}

// variable -= (variable - value) * (1 - decay), together with the training step.
void update_average(const Scope& scope, const Variable& variable, const tf::Output& value, float decay) {
  const tf::Scope s = scope.NewSubScope("AssignMovingAvg");
  const tf::Output step =
      ops::Multiply(s, ops::Subtract(s, variable.value, value), scalar(scope, 1 - decay, value.type()));
  const std::vector<Variable> pieces = pieces_of(scope, variable);
  const int count = static_cast<int>(pieces.size());
  const std::vector<tf::Output> steps =
      count == 1 ? std::vector<tf::Output>{step} : ops::Split(s, 0, step, count).output;
  for (int i = 0; i < count; ++i) {
    const ops::AssignSubVariableOp update(s, pieces[i].handle, steps[i]);
    scope.add_to_collection(collections::kUpdateOps, tf::Output(update.operation, 0));
  }
}

tf::Output constant(const Scope& scope, float value, int64_t channels) {
  return ops::Const(scope, value, tf::TensorShape({channels}));
}

tf::Output fused_batch_norm(const Scope& scope, const NativeLayout& layout, const Parameters& p, int64_t channels,
                            const BatchNormOptions& options) {
  const tf::Output scale = p.gamma.node() ? p.gamma : constant(scope, 1, channels);
  const tf::Output offset = p.beta.node() ? p.beta : constant(scope, 0, channels);
  const auto attrs =
      ops::FusedBatchNormV3::Epsilon(options.epsilon).DataFormat(layout.format()).IsTraining(options.is_training);
  if (!options.is_training)
    return ops::FusedBatchNormV3(scope.WithOpName("FusedBatchNormV3"), layout.inputs(), scale, offset,
                                 p.moving_mean.value, p.moving_variance.value, attrs)
        .y;
  const tf::Output none = ops::Const(scope, tf::Input::Initializer(tf::Tensor(tf::DT_FLOAT, {0})));
  const ops::FusedBatchNormV3 norm(scope.WithOpName("FusedBatchNormV3"), layout.inputs(), scale, offset, none, none,
                                   attrs);
  update_average(scope, p.moving_mean, norm.batch_mean, options.decay);
  update_average(scope, p.moving_variance, norm.batch_variance, options.decay);
  return norm.y;
}

struct Renorm {
  tf::Output r, d;
};

// Ioffe 2017: the batch's statistics corrected towards slower averages; no gradient through the corrections.
Renorm batch_renorm(const Scope& scope, int64_t channels, const tf::Output& mean, const tf::Output& variance,
                    const BatchNormOptions& options) {
  const tf::DataType type = mean.type();
  const Variable slow_mean = average(scope, "renorm_mean", channels, zeros_initializer(), type);
  const Variable slow_stddev = average(scope, "renorm_stddev", channels, ones_initializer(), type);
  const tf::Output stddev = ops::Sqrt(scope, ops::Add(scope, variance, scalar(scope, options.epsilon, type)));
  const tf::Output divisor = ops::Maximum(scope, slow_stddev.value, scalar(scope, std::sqrt(options.epsilon), type));
  const tf::Output r =
      ops::ClipByValue(scope, ops::Div(scope, stddev, divisor), 1 / options.renorm_rmax, options.renorm_rmax);
  const tf::Output d = ops::ClipByValue(scope, ops::Div(scope, ops::Subtract(scope, mean, slow_mean.value), divisor),
                                        -options.renorm_dmax, options.renorm_dmax);
  update_average(scope, slow_mean, mean, options.renorm_decay);
  update_average(scope, slow_stddev, stddev, options.renorm_decay);
  return {ops::StopGradient(scope.WithOpName("renorm_r"), r), ops::StopGradient(scope.WithOpName("renorm_d"), d)};
}

tf::Output product(const Scope& scope, const tf::Output& a, const tf::Output& b) {
  if (!a.node()) return b;
  return b.node() ? tf::Output(ops::Multiply(scope, a, b)) : a;
}

tf::Output sum(const Scope& scope, const tf::Output& a, const tf::Output& b) {
  if (!a.node()) return b;
  return b.node() ? tf::Output(ops::Add(scope, a, b)) : a;
}

// (x - mean) / sqrt(variance + epsilon) * gamma + beta from ordinary operations: any rank, channels on `axis`.
tf::Output plain_batch_norm(const Scope& scope, const tf::Output& inputs, int axis, int64_t channels, Parameters p,
                            const BatchNormOptions& options) {
  const bool narrow = inputs.type() != p.type;
  const tf::Output x = narrow ? tf::Output(ops::Cast(scope, inputs, p.type)) : inputs;
  const int rank = static_cast<int>(static_shape(scope, x).size());
  tf::Output mean = p.moving_mean.value, variance = p.moving_variance.value;
  if (options.is_training) {
    std::vector<int> others;
    for (int i = 0; i < rank; ++i)
      if (i != axis) others.push_back(i);
    const tf::Output over = int_vector(scope, others);
    const tf::Output kept = ops::Mean(scope.WithOpName("moments/mean"), x, over, ops::Mean::KeepDims(true));
    const tf::Output squares = ops::SquaredDifference(scope, x, ops::StopGradient(scope, kept));
    mean = ops::Reshape(scope, kept, {static_cast<int>(channels)});
    variance = ops::Mean(scope.WithOpName("moments/variance"), squares, over);
    if (options.renorm) {
      const Renorm renorm = batch_renorm(scope, channels, mean, variance, options);
      p.beta = sum(scope, product(scope, renorm.d, p.gamma), p.beta);
      p.gamma = product(scope, renorm.r, p.gamma);
    }
    update_average(scope, p.moving_mean, mean, options.decay);
    update_average(scope, p.moving_variance, variance, options.decay);
  }
  tf::Output scale =
      product(scope, ops::Rsqrt(scope, ops::Add(scope, variance, scalar(scope, options.epsilon, p.type))), p.gamma);
  tf::Output shift = ops::Negate(scope, ops::Multiply(scope, mean, scale));
  shift = sum(scope, shift, p.beta);
  if (axis != rank - 1) {
    std::vector<int> broadcast(rank, 1);
    broadcast[axis] = static_cast<int>(channels);
    const tf::Output shape = int_vector(scope, broadcast);
    scale = ops::Reshape(scope, scale, shape);
    shift = ops::Reshape(scope, shift, shape);
  }
  const tf::Output y = ops::Add(scope.WithOpName("batchnorm"), ops::Multiply(scope, x, scale), shift);
  return narrow ? tf::Output(ops::Cast(scope, y, inputs.type())) : y;
}

}  // namespace

tf::Output batch_norm(const Scope& outer, const tf::Output& inputs, const std::string& name,
                      const BatchNormOptions& options) {
  const tf::DataType type = statistics_type(inputs);
  const Scope scope = outer.var_scope(name).var_scope(type);
  if (options.fused && options.renorm)
    throw InvalidArgumentError("batch_norm " + name +
                               ": fused and renorm exclude each other; set one of them to false");
  const bool image = static_shape(scope, inputs).size() == 4;
  tf::Output y;
  if (image) {
    const NativeLayout layout(scope, inputs, options.data_format);
    const int64_t channels = channels_of(scope, layout.inputs(), layout.channel_axis(), name);
    const Parameters p = make_parameters(scope, channels, type, options);
    y = layout.finish(
        scope, options.fused ? fused_batch_norm(scope, layout, p, channels, options)
                             : plain_batch_norm(scope, layout.inputs(), layout.channel_axis(), channels, p, options));
  } else {
    const int axis = static_cast<int>(static_shape(scope, inputs).size()) - 1;
    const int64_t channels = channels_of(scope, inputs, axis, name);
    y = plain_batch_norm(scope, inputs, axis, channels, make_parameters(scope, channels, type, options), options);
  }
  return options.activation ? options.activation(scope, y) : y;
}

tf::Output local_response_normalization(const Scope& outer, const tf::Output& inputs, const std::string& name,
                                        const LocalResponseOptions& options) {
  const Scope scope = outer.with(outer.NewSubScope(name));
  const NativeLayout layout(scope, inputs, options.data_format);
  const int channels = static_cast<int>(channels_of(scope, layout.inputs(), layout.channel_axis(), name));
  // The sum over neighbours is a 1x1 convolution with a band of alphas, which has a gradient.
  tf::Tensor band(tf::DT_FLOAT, {1, 1, channels, channels});
  auto matrix = band.shaped<float, 2>({channels, channels});
  for (int i = 0; i < channels; ++i)
    for (int j = 0; j < channels; ++j) matrix(i, j) = std::abs(i - j) <= options.depth_radius ? options.alpha : 0.0f;
  const tf::Output& x = layout.inputs();
  const tf::DataType type = x.type();
  const tf::Output weights = ops::Cast(scope, ops::Const(scope, tf::Input::Initializer(band)), type);
  const tf::Output sums = ops::Conv2D(scope, ops::Square(scope, x), weights, {1, 1, 1, 1}, "VALID",
                                      ops::Conv2D::DataFormat(layout.format()));
  const tf::Output base = ops::Add(scope, sums, ops::Cast(scope, ops::Const(scope, options.bias), type));
  const tf::Output scale = ops::Pow(scope, base, ops::Cast(scope, ops::Const(scope, -options.beta), type));
  return layout.finish(scope, ops::Multiply(scope.WithOpName("lrn"), x, scale));
}

Normalizer batch_normalizer(const BatchNormOptions& options) {
  return [options](const Scope& scope, const tf::Output& x) { return batch_norm(scope, x, "BatchNorm", options); };
}

}  // namespace mox::layers
