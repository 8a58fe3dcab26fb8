#include "nets/nasnet.h"

#include "moxing/error.h"

namespace mox::nets::nasnet {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;
using layers::Padding;

namespace {

int kernel_of(Op op) {
  switch (op) {
    case Op::kSeparable5x5:
      return 5;
    case Op::kSeparable7x7:
      return 7;
    default:
      return 3;
  }
}

std::string square(int kernel) { return std::to_string(kernel) + "x" + std::to_string(kernel); }

}  // namespace

Builder::Builder(Net& net, const Scope& scope, const Config& config) : net_(net), scope_(scope), config_(config) {
  // Cells of the stem count for drop path too, except those of the small images' stem.
  total_cells_ = config.cells + 2;
  if (!config.cifar && !config.progressive) total_cells_ += 2;
  if (net.params().options.drop_path_keep_prob > 0)
    config_.drop_path_keep_prob = net.params().options.drop_path_keep_prob;
  if (net.params().options.dropout_keep_prob > 0) config_.dropout_keep_prob = net.params().options.dropout_keep_prob;
  net.conv.activation = net.separable.activation = nullptr;
  net.conv.use_bias = net.separable.use_bias = false;
  net.conv.weights_initializer = net.separable.weights_initializer = net.dense.weights_initializer =
      variance_scaling_initializer({.mode = VarianceScalingOptions::kFanOut});
  net.batch_norm.scale = true;
  net.batch_norm.decay = net.batch_norm_decay(config.cifar ? 0.9f : 0.9997f);
  net.batch_norm.epsilon = config.cifar ? 1e-5f : 1e-3f;
}

tf::Output Builder::norm(const Scope& s, const Output& x, const std::string& name) {
  return layers::batch_norm(s, x, name, net_.batch_norm);
}

tf::Output Builder::conv_norm(const Scope& s, const Output& x, int filters, const std::string& conv,
                              const std::string& norm_name, int stride) {
  return norm(s, net_.conv2d(s, x, filters, 1, conv, stride), norm_name);
}

tf::Output Builder::separable(const Scope& s, Output x, int kernel, int filters, int stride) {
  for (int i = 1; i <= 2; ++i) {
    layers::SeparableConv2dOptions options = net_.separable;
    options.stride = i == 1 ? stride : 1;
    const std::string suffix = square(kernel) + "_" + std::to_string(i);
    x = layers::separable_conv2d(s, layers::relu(s, x), filters, kernel, "separable_" + suffix, options);
    x = norm(s, x, "bn_sep_" + suffix);
  }
  return x;
}

tf::Output Builder::pool(const Scope& s, const Output& x, Op op, int filters, int stride) {
  const Output pooled = op == Op::kMax3x3 ? net_.max_pool(s, x, 3, "MaxPool2D", stride, Padding::kSame)
                                          : net_.avg_pool(s, x, 3, "AvgPool2D", stride, Padding::kSame);
  return net_.channels(s, x) == filters ? pooled : conv_norm(s, pooled, filters, "1x1", "bn_1");
}

tf::Output Builder::apply(const Scope& s, const Output& x, Op op, int filters, int stride, bool from_input,
                          int number) {
  if (!from_input) stride = 1;
  if (op == Op::kNone) {
    if (stride == 1 && net_.channels(s, x) == filters) return x;
    return conv_norm(s, layers::relu(s, x), filters, "1x1", "bn_1", stride);
  }
  const bool pooling = op == Op::kMax3x3 || op == Op::kAverage3x3;
  const Output y = pooling ? pool(s, x, op, filters, stride) : separable(s, x, kernel_of(op), filters, stride);
  return drop_path(s, y, number);
}

tf::Output Builder::factorized_reduction(const Scope& s, const Output& x, int filters, int stride) {
  if (stride == 1) return conv_norm(s, x, filters, "path_conv", "path_bn");
  const Output even = net_.conv2d(s, net_.subsample(s, x, stride), filters / 2, 1, "path1_conv");
  const Output odd = net_.conv2d(s, net_.subsample(s, x, stride, 1), filters - filters / 2, 1, "path2_conv");
  return norm(s, net_.concat(s, {even, odd}), "final_path_bn");
}

tf::Output Builder::fit_previous(const Scope& s, const Output& previous, const Output& x, int filters) {
  if (!previous.node()) return x;
  if (net_.image_size(s, previous).width != net_.image_size(s, x).width)
    return factorized_reduction(s, layers::relu(s, previous), filters, 2);
  if (net_.channels(s, previous) == filters) return previous;
  return conv_norm(s, layers::relu(s, previous), filters, "prev_1x1", "prev_bn");
}

tf::Output Builder::join_unused(const Scope& s, const CellPlan& plan, std::vector<Output> states) {
  const int width = net_.image_size(s, states.back()).width, filters = net_.channels(s, states.back());
  std::vector<Output> unused;
  for (size_t i = 0; i < states.size(); ++i) {
    if (plan.used[i]) continue;
    const bool halve = net_.image_size(s, states[i]).width != width;
    if (halve || net_.channels(s, states[i]) != filters)
      states[i] =
          factorized_reduction(s.var_scope("reduction_" + std::to_string(i)), states[i], filters, halve ? 2 : 1);
    unused.push_back(states[i]);
  }
  return net_.concat(s, unused);
}

tf::Output Builder::cell(const CellPlan& plan, const std::string& name, const Output& x, const Output& previous,
                         const Cell& cell) {
  const Scope s = scope_.var_scope(name);
  const int filters = static_cast<int>(config_.filters * cell.scaling);
  const Output fitted = fit_previous(s, previous, x, filters);
  std::vector<Output> states = {conv_norm(s, layers::relu(s, x), filters, "1x1", "beginning_bn"), fitted};
  for (int i = 0; i < 5; ++i) {
    const Scope combination = s.var_scope("comb_iter_" + std::to_string(i));
    Output sides[2];
    for (int side = 0; side < 2; ++side) {
      const CellPlan::Side& plan_side = plan.sides[i][side];
      sides[side] = apply(combination.var_scope(side == 0 ? "left" : "right"), states[plan_side.state], plan_side.op,
                          filters, cell.stride, plan_side.state < 2, cell.number);
    }
    states.push_back(net_.add(combination.var_scope("combine"), sides[0], sides[1]));
  }
  return join_unused(s.var_scope("cell_output"), plan, states);
}

// Drops a path for whole samples; more often in later cells and later in training.
tf::Output Builder::drop_path(const Scope& outer, const Output& x, int number) {
  if (!net_.is_training() || config_.drop_path_keep_prob >= 1) return x;
  const Scope s = outer.with(outer.NewSubScope("drop_path"));
  const float layer_ratio = static_cast<float>(number + 1) / static_cast<float>(total_cells_);
  const float drop = layer_ratio * (1 - config_.drop_path_keep_prob);
  const Output step = ops::Cast(s, get_or_create_global_step(s).value, tf::DT_FLOAT);
  const Output ratio = ops::Minimum(s, 1.0f, ops::Div(s, step, static_cast<float>(config_.training_steps)));
  const Output keep = ops::Subtract(s, 1.0f, ops::Multiply(s, ratio, drop));
  const Output batch = ops::StridedSlice(s, ops::Shape(s, x), {0}, {1}, {1}, ops::StridedSlice::ShrinkAxisMask(1));
  const auto [seed, seed2] = s.with(s).next_seed();
  const Output random = ops::RandomUniform(s, ops::Stack(s, std::initializer_list<tf::Input>{batch, 1, 1, 1}),
                                           tf::DT_FLOAT, ops::RandomUniform::Seed(seed).Seed2(seed2));
  const Output kept = ops::Floor(s, ops::Add(s, random, keep));
  const Output factor = ops::StopGradient(s, ops::Div(s, kept, keep));
  return ops::Multiply(s, x, ops::Cast(s, factor, x.type()));
}

tf::Output Builder::stem(const Output& images) {
  if (config_.cifar) {
    const int filters = static_cast<int>(config_.filters * config_.stem_multiplier);
    const Output x = norm(scope_, net_.conv2d(scope_, images, filters, 3, "l1_stem_3x3"), "l1_stem_bn");
    outputs_ = {Output(), x};
    return x;
  }
  const int filters = static_cast<int>(32 * config_.stem_multiplier);
  Output x = norm(scope_, net_.conv2d(scope_, images, filters, 3, "conv0", 2, Padding::kValid), "conv0_bn");
  outputs_ = {Output(), x};
  const CellPlan& plan = config_.progressive ? kProgressiveCell : kReductionCell;
  double scaling = 0.25;
  for (int i = 0; i < 2; ++i) {
    x = cell(plan, "cell_stem_" + std::to_string(i), x, outputs_[outputs_.size() - 2], {scaling, 2, number_++});
    outputs_.push_back(x);
    scaling *= 2;
  }
  return x;
}

tf::Output Builder::auxiliary(const Scope& outer, const Output& features) {
  const Scope s = outer.var_scope("aux_logits");
  Output x = net_.avg_pool(s, layers::relu(s, features), 5, "AvgPool2D", 3, Padding::kValid);
  x = layers::relu(s, norm(s, net_.conv2d(s, x, 128, 1, "proj"), "aux_bn0"));
  x = net_.conv2d(s, x, 768, net_.image_size(s, x), "Conv", 1, Padding::kValid);
  x = layers::relu(s, norm(s, x, "aux_bn1"));
  return net_.linear(s, net_.flatten(s, x), net_.params().num_classes, "FC");
}

void Builder::cells() {
  const int first = config_.cells / 3, second = config_.cells * 2 / 3;
  double scaling = 1;
  for (int i = 0; i < config_.cells; ++i) {
    const bool reduction = i == first || i == second;
    const std::string name = "cell_" + std::to_string(i);
    Output previous = outputs_[outputs_.size() - 2], x = outputs_.back();
    if (reduction) scaling *= 2;
    if (reduction && !config_.progressive) {
      const std::string index = i == first ? "0" : "1";
      x = cell(kReductionCell, "reduction_cell_" + index, x, previous, {scaling, 2, number_++});
      net_.end_point("Reduction_Cell_" + index, x);
      outputs_.push_back(x);
      if (!config_.skip_reduction_input) previous = outputs_[outputs_.size() - 2];
    }
    const int stride = reduction && config_.progressive ? 2 : 1;
    x = cell(config_.progressive ? kProgressiveCell : kNormalCell, name, x, previous, {scaling, stride, number_++});
    net_.end_point("Cell_" + std::to_string(i), x);
    outputs_.push_back(x);
    if (i == second - 1 && net_.is_training())
      net_.end_point("AuxLogits", auxiliary(scope_.var_scope("aux_" + std::to_string(i)), x));
  }
}

NetworkOutput Builder::build(const Output& images) {
  net_.end_point("Stem", stem(images));
  cells();
  const Scope s = scope_.var_scope("final_layer");
  Output x = layers::relu(s, outputs_.back());
  x = net_.end_point("global_pool", layers::global_avg_pool(s, x, "global_pool", false, net_.data_format()));
  x = layers::dropout(s, x, config_.dropout_keep_prob, net_.is_training(), "dropout");
  return net_.finish(s, net_.linear(s, x, net_.params().num_classes, "FC"));
}

}  // namespace mox::nets::nasnet
