#include <gtest/gtest.h>

#include "moxing/error.h"
#include "moxing/losses.h"
#include "optim/graph_run.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace mox {
namespace {

namespace ops = tensorflow::ops;
using tensorflow::Output;
using testing::GraphRun;

TEST(ClassWeights, MakeEachClassCountTheSame) {
  EXPECT_EQ(losses::balanced_class_weights({6, 2, 0}), (std::vector<float>{8 / 12.f, 2, 0}));
  EXPECT_THROW(losses::balanced_class_weights({0, 0}), InvalidArgumentError);
  EXPECT_THROW(losses::balanced_class_weights({-1, 2}), InvalidArgumentError);
}

TEST(ClassWeights, AreThoseOfTheLabels) {
  Scope s = Scope::new_root();
  const Output labels = ops::Const(s, {0.f, 1.f, 0.f, 0.75f, 0.f, 0.25f}, {2, 3});
  const Output weights = losses::weights_of_classes(s, labels, {1, 2, 4});
  EXPECT_EQ(GraphRun(s).fetch_floats(weights), (std::vector<float>{2, 1.75f}));
  EXPECT_THROW(losses::weights_of_classes(s, labels, {1, 2}), InvalidArgumentError);
}

TEST(ClassWeights, WeighTheLoss) {
  Scope s = Scope::new_root();
  const Output labels = ops::Const(s, {1.f, 0.f, 0.f, 1.f}, {2, 2});
  const Output logits = ops::Const(s, {1.f, 2.f, 3.f, 1.f}, {2, 2});
  const Output loss = losses::softmax_cross_entropy(
      s, labels, logits, {.sample_weights = losses::weights_of_classes(s, labels, {0.5f, 1.5f})});
  const double first = std::log(1 + std::exp(1.0)), second = std::log(1 + std::exp(2.0));
  EXPECT_NEAR(GraphRun(s).fetch_floats(loss)[0], (0.5 * first + 1.5 * second) / 2, 1e-5);
}

TEST(ExpectedAccuracy, IsTheAccuracyOfOneHotLabelsAndAMeanOfMixedOnes) {
  Scope s = Scope::new_root();
  const Output logits = ops::Const(s, {3.f, 1.f, 2.f, 0.f, 1.f, 2.f}, {2, 3});
  const Output sure = ops::Const(s, {1.f, 0.f, 0.f, 1.f, 0.f, 0.f}, {2, 3});
  const Output mixed = ops::Const(s, {0.75f, 0.25f, 0.f, 0.5f, 0.f, 0.5f}, {2, 3});
  const Output a = metrics::expected_accuracy(s, logits, sure), b = metrics::expected_accuracy(s, logits, mixed);
  GraphRun run(s);
  EXPECT_FLOAT_EQ(run.fetch_floats(a)[0], 0.5f);
  EXPECT_FLOAT_EQ(run.fetch_floats(b)[0], 0.625f);
}

}  // namespace
}  // namespace mox
