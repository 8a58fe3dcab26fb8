#include "moxing/layers.h"

#include <gtest/gtest.h>

#include <cmath>

#include "graph/graph_session.h"
#include "moxing/error.h"
#include "moxing/losses.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace mox {
namespace {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;
using tf::Output;

Output constant(const Scope& s, const tf::Tensor& t) { return ops::Const(s, tf::Input::Initializer(t)); }

std::vector<std::string> variable_names(const Scope& s) {
  std::vector<std::string> names;
  for (const Variable& v : global_variables(s)) names.push_back(v.name);
  return names;
}

TEST(Layers, VariablesOfEachLayer) {
  Scope s = Scope::new_root();
  const Output x = constant(s, random_tensor({2, 8, 8, 3}, 1));
  layers::conv2d(s, x, 4, 3, "a");
  layers::conv2d(s, x, 4, {1, 3}, "b", {.normalizer = layers::batch_normalizer({.scale = true})});
  layers::separable_conv2d(s, x, 5, 3, "c", {.depth_multiplier = 2});
  layers::depthwise_conv2d(s, x, 3, "d", {.use_bias = false});
  layers::fully_connected(s, layers::flatten(s, x), 6, "e");
  EXPECT_EQ(variable_names(s), (std::vector<std::string>{
                                   "a/weights", "a/biases", "b/weights", "b/BatchNorm/beta", "b/BatchNorm/gamma",
                                   "b/BatchNorm/moving_mean", "b/BatchNorm/moving_variance", "c/depthwise_weights",
                                   "c/pointwise_weights", "c/biases", "d/depthwise_weights", "e/weights", "e/biases"}));
  const auto variables = global_variables(s);
  EXPECT_EQ(variables[2].shape, tf::TensorShape({1, 3, 3, 4}));
  EXPECT_EQ(variables[7].shape, tf::TensorShape({3, 3, 3, 2}));
  EXPECT_EQ(variables[8].shape, tf::TensorShape({1, 1, 6, 5}));
  EXPECT_EQ(variables[11].shape, tf::TensorShape({192, 6}));
}

TEST(Layers, ShapesFollowStrideAndPadding) {
  Scope s = Scope::new_root();
  const Output x = constant(s, random_tensor({2, 9, 9, 3}, 1));
  EXPECT_EQ(static_shape(s, layers::conv2d(s, x, 4, 3, "a", {.stride = 2})), (std::vector<int64_t>{2, 5, 5, 4}));
  EXPECT_EQ(static_shape(s, layers::conv2d(s, x, 4, 3, "b", {.stride = 2, .padding = layers::Padding::kValid})),
            (std::vector<int64_t>{2, 4, 4, 4}));
  EXPECT_EQ(static_shape(s, layers::conv2d_transpose(s, x, 4, 5, "f", {.stride = 2})),
            (std::vector<int64_t>{2, 18, 18, 4}));
  EXPECT_EQ(
      static_shape(s, layers::conv2d_transpose(s, x, 4, 5, "g", {.stride = 2, .padding = layers::Padding::kValid})),
      (std::vector<int64_t>{2, 21, 21, 4}));
  EXPECT_EQ(static_shape(s, layers::max_pool2d(s, x, 3, "c")), (std::vector<int64_t>{2, 4, 4, 3}));
  EXPECT_EQ(static_shape(s, layers::global_avg_pool(s, x, "d")), (std::vector<int64_t>{2, 1, 1, 3}));
  EXPECT_EQ(static_shape(s, layers::spatial_squeeze(s, layers::global_avg_pool(s, x, "e"))),
            (std::vector<int64_t>{2, 3}));
}

TEST(Layers, WeightDecayIsHalfTheSumOfSquares) {
  Scope s = Scope::new_root();
  const Output x = constant(s, random_tensor({1, 4, 4, 2}, 1));
  layers::conv2d(s, x, 3, 3, "conv", {.weight_decay = 0.1f, .weights_initializer = constant_initializer(2)});
  const auto losses = get_collection(s, collections::kRegularizationLosses);
  ASSERT_EQ(losses.size(), 1u);
  EXPECT_FLOAT_EQ(GraphSession(s).run_one(losses[0]).scalar<float>()(), 0.1f * 54 * 4 / 2);
}

// Dense layers, convolutions, pools, norms: the same numbers in both formats, on whatever this machine is.
TEST(Layers, NchwGivesTheNumbersOfNhwc) {
  Scope s = Scope::new_root();
  auto build = [&](const Scope& scope, const std::string& format) {
    Output x = constant(scope, random_tensor({2, 12, 12, 4}, 3));
    if (format == "NCHW") x = layers::nhwc_to_nchw(scope, x);
    const layers::Normalizer norm = layers::batch_normalizer({.scale = true, .data_format = format});
    const layers::Normalizer fused = layers::batch_normalizer({.fused = true, .data_format = format});
    x = layers::conv2d(scope, x, 8, 3, "a", {.stride = 2, .normalizer = norm, .data_format = format});
    Output y = layers::separable_conv2d(scope, x, 8, 3, "b", {.normalizer = fused, .data_format = format});
    x = ops::AddV2(scope, x, y);
    y = layers::conv2d(scope, x, 8, 3, "dilated", {.rate = 2, .data_format = format});
    x = layers::concat_channels(scope, {x, y}, "concat", format);
    x = layers::pad2d(scope, x, {1, 0, 2, 1}, "pad", format);
    x = layers::conv2d_transpose(scope, x, 6, 4, "up", {.stride = 2, .data_format = format});
    x = layers::max_pool2d(scope, x, 3, "c", {.data_format = format});
    y = layers::avg_pool2d(scope, x, 3, "avg", {.stride = 1, .padding = layers::Padding::kSame, .data_format = format});
    x = layers::concat_channels(scope, {y, layers::relu6(scope, x)}, "concat", format);
    return layers::fully_connected(scope, layers::flatten(scope, x, "flat", format), 5, "d");
  };
  const Output a = build(s, "NHWC");
  const size_t variables = global_variables(s).size();
  const Output b = build(s.reuse_variables(), "NCHW");
  EXPECT_EQ(global_variables(s).size(), variables);
  GraphSession session(s);
  const auto results = session.run({a, b});
  EXPECT_GT(max_abs(results[0]), 0.01);
  EXPECT_LT(relative_difference(results[1], results[0]), 1e-5);
}

TEST(Layers, TransposesThatUndoEachOtherAreNotMade) {
  Scope s = Scope::new_root();
  const Output x = layers::nhwc_to_nchw(s, constant(s, random_tensor({1, 4, 4, 2}, 1)));
  EXPECT_EQ(layers::nchw_to_nhwc(s, x).node()->type_string(), "Const");
}

TEST(Layers, BatchNormNormalizesAndUpdatesItsAverages) {
  for (bool fused : {false, true}) {
    Scope s = Scope::new_root();
    const Output x = constant(s, random_tensor({4, 5, 5, 2}, 4, 1, 3));
    const Output y = layers::batch_norm(s, x, "BatchNorm", {.decay = 0.5f, .fused = fused});
    const auto updates = get_collection(s, collections::kUpdateOps);
    ASSERT_EQ(updates.size(), 2u);
    const Output mean = ops::Mean(s, y, {0, 1, 2}), square = ops::Mean(s, ops::Square(s, y), {0, 1, 2});
    const Variable mean_variable = global_variables(s)[1];
    const Output average = ops::ReadVariableOp(s, mean_variable.handle, tf::DT_FLOAT);
    GraphSession all(s);
    auto moments = all.run({mean, square}, {}, {updates[0].node()->name(), updates[1].node()->name()});
    EXPECT_NEAR(moments[0].flat<float>()(0), 0, 1e-4);
    EXPECT_NEAR(moments[1].flat<float>()(0), 1, 1e-2);
    const float moving = all.run_one(average).flat<float>()(0);
    EXPECT_NEAR(moving, 1.0f, 0.1f);  // half way from 0 to the batch's mean of about 2
  }
}

TEST(Layers, BatchNormOutsideTrainingUsesTheAverages) {
  for (bool fused : {false, true}) {
    Scope s = Scope::new_root();
    const Output x = constant(s, random_tensor({2, 3, 3, 2}, 5));
    const Output y = layers::batch_norm(s, x, "BatchNorm", {.is_training = false, .fused = fused});
    EXPECT_TRUE(get_collection(s, collections::kUpdateOps).empty());
    auto results = GraphSession(s).run({x, y});  // mean 0 and variance 1 at the start
    EXPECT_NEAR(results[1].flat<float>()(3), results[0].flat<float>()(3) / std::sqrt(1.001f), 1e-5);
  }
}

TEST(Layers, BatchRenormStartsFromItsOwnAverages) {
  Scope s = Scope::new_root();
  const Output x = constant(s, random_tensor({8, 4, 4, 2}, 6));
  const Output y = layers::batch_norm(s, x, "BatchNorm", {.renorm = true});
  EXPECT_EQ(variable_names(s),
            (std::vector<std::string>{"BatchNorm/beta", "BatchNorm/moving_mean", "BatchNorm/moving_variance",
                                      "BatchNorm/renorm_mean", "BatchNorm/renorm_stddev"}));
  EXPECT_EQ(get_collection(s, collections::kUpdateOps).size(), 4u);
  // With averages 0 and 1 and corrections inside their limits, renorm undoes the normalization.
  auto results = GraphSession(s).run({x, y});
  EXPECT_LT(relative_difference(results[1], results[0]), 1e-3);
}

TEST(Layers, BatchNormKeeps32BitStatisticsFor16BitImages) {
  Scope s = Scope::new_root();
  const Output x = ops::Cast(s, constant(s, random_tensor({2, 4, 4, 2}, 7)), tf::DT_BFLOAT16);
  for (bool fused : {false, true}) {
    const Output y = layers::batch_norm(s.var_scope(fused ? "a" : "b"), x, "BatchNorm", {.fused = fused});
    EXPECT_EQ(y.type(), tf::DT_BFLOAT16);
  }
  for (const Variable& v : global_variables(s)) EXPECT_EQ(v.dtype, tf::DT_FLOAT) << v.name;
}

TEST(Layers, DropoutIsOffOutsideTraining) {
  Scope s = Scope::new_root();
  const Output x = ops::Const(s, 1.0f, {100, 100});
  EXPECT_EQ(layers::dropout(s, x, 0.5f, false).node(), x.node());
}

TEST(Layers, DropoutScalesWhatItKeeps) {
  Scope s = Scope::new_root();
  const Output y = layers::dropout(s, ops::Const(s, 1.0f, {100, 100}), 0.25f, true);
  const tf::Tensor result = GraphSession(s).run_one(y);
  double sum = 0;
  for (int i = 0; i < 10000; ++i) {
    const float v = result.flat<float>()(i);
    EXPECT_TRUE(v == 0 || v == 4) << v;
    sum += v;
  }
  EXPECT_NEAR(sum / 10000, 1, 0.1);
  EXPECT_THROW(layers::dropout(s, y, 0, true), InvalidArgumentError);
}

TEST(Layers, LocalResponseNormalizationIsTensorFlows) {
  Scope s = Scope::new_root();
  const Output x = constant(s, random_tensor({2, 3, 3, 12}, 9));
  const Output theirs = ops::LRN(s, x, ops::LRN::DepthRadius(4).Bias(1).Alpha(0.3f).Beta(0.75f));
  const layers::LocalResponseOptions options{.depth_radius = 4, .alpha = 0.3f, .beta = 0.75f};
  const Output ours = layers::local_response_normalization(s, x, "norm", options);
  auto results = GraphSession(s).run({ours, theirs});
  EXPECT_LT(relative_difference(results[0], results[1]), 1e-5);
}

TEST(Layers, WrongInputsAreNamed) {
  Scope s = Scope::new_root();
  const Output x = constant(s, random_tensor({2, 8, 8, 3}, 1));
  EXPECT_THROW(layers::conv2d(s, x, 4, 3, "a", {.data_format = "CHWN"}), InvalidArgumentError);
  EXPECT_THROW(layers::conv2d(s, x, 4, 3, "a", {.groups = 2}), InvalidArgumentError);
  EXPECT_THROW(layers::conv2d(s, x, 4, 3, "a", {.stride = 2, .rate = 2}), InvalidArgumentError);
  EXPECT_THROW(layers::fully_connected(s, x, 4, "a"), InvalidArgumentError);
  const Output unknown = ops::Placeholder(s, tf::DT_FLOAT, ops::Placeholder::Shape({-1, 8, 8, -1}));
  EXPECT_THROW(layers::conv2d(s, unknown, 4, 3, "a"), InvalidArgumentError);
}

TEST(Losses, CrossEntropyOfBothKindsAgree) {
  Scope s = Scope::new_root();
  const Output logits = constant(s, random_tensor({4, 3}, 8, -2, 2)), labels = ops::Const(s, {0, 2, 1, 1});
  const Output a = losses::sparse_softmax_cross_entropy(s, labels, logits);
  const Output b = losses::softmax_cross_entropy(s, layers::one_hot_encoding(s, labels, 3), logits);
  EXPECT_EQ(get_collection(s, collections::kLosses).size(), 2u);
  auto results = GraphSession(s).run({a, b});
  EXPECT_NEAR(results[0].scalar<float>()(), results[1].scalar<float>()(), 1e-6);
}

TEST(Losses, WeightsSmoothingAndRegularization) {
  Scope s = Scope::new_root();
  const Output logits = ops::Const(s, {{2.f, 0.f}, {0.f, 1.f}, {5.f, 5.f}}), labels = ops::Const(s, {0, 0, 1});
  const Output weights = ops::Const(s, {1.f, 3.f, 0.f});
  const Output weighted =
      losses::sparse_softmax_cross_entropy(s, labels, logits, {.weight = 0.5f, .sample_weights = weights});
  const Output smooth = losses::sparse_softmax_cross_entropy(s, labels, logits, {.label_smoothing = 0.2f});
  s.get_variable("w", {2, 2}, {.initializer = ones_initializer(), .weight_decay = 0.5f});
  const Output total = losses::add_regularization(s, weighted);
  auto results = GraphSession(s).run({weighted, smooth, total});
  const double l0 = std::log1p(std::exp(-2.0)), l1 = std::log1p(std::exp(1.0)), l2 = std::log(2.0);
  EXPECT_NEAR(results[0].scalar<float>()(), 0.5 * (l0 + 3 * l1) / 2, 1e-5);
  const double other0 = l0 + 2, other1 = l1 - 1;
  EXPECT_NEAR(results[1].scalar<float>()(), (0.9 * l0 + 0.1 * other0 + 0.9 * l1 + 0.1 * other1 + l2) / 3, 1e-5);
  EXPECT_NEAR(results[2].scalar<float>()() - results[0].scalar<float>()(), 0.5 * 4 / 2, 1e-5);
}

TEST(Metrics, AccuracyOfTopOneAndTopTwo) {
  Scope s = Scope::new_root();
  const Output logits = ops::Const(s, {{3.f, 2.f, 1.f}, {1.f, 2.f, 3.f}, {1.f, 3.f, 2.f}, {3.f, 1.f, 2.f}});
  const Output labels = ops::Cast(s, ops::Const(s, {0, 0, 2, 1}), tf::DT_INT64);
  const Output one = metrics::accuracy(s, logits, labels), two = metrics::accuracy(s, logits, labels, 2);
  auto results = GraphSession(s).run({one, two});
  EXPECT_FLOAT_EQ(results[0].scalar<float>()(), 0.25f);
  EXPECT_FLOAT_EQ(results[1].scalar<float>()(), 0.5f);
}

}  // namespace
}  // namespace mox
