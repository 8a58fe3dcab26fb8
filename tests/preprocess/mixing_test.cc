// Batches of mixed images: their arithmetic, and how the shares are distributed.
#include "moxing/mixing.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "graph/graph_state.h"
#include "moxing/error.h"
#include "optim/graph_run.h"
#include "preprocess/beta_quantile.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace mox {
namespace {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;
using testing::GraphRun;
using tf::Output;

constexpr int kRows = 12, kColumns = 10;

TEST(BetaQuantiles, HaveTheMomentsOfTheDistribution) {
  for (const double alpha : {0.1, 0.2, 1.0, 2.5, 40.0}) {
    const std::vector<float> q = preprocess::beta_quantiles(alpha, 4001);
    double mean = 0, square = 0;
    for (size_t i = 0; i + 1 < q.size(); ++i) {
      ASSERT_LE(q[i], q[i + 1]);
      const double middle = (static_cast<double>(q[i]) + q[i + 1]) / 2;
      mean += middle / 4000;
      square += middle * middle / 4000;
    }
    EXPECT_NEAR(mean, 0.5, 1e-4) << alpha;
    EXPECT_NEAR(square - mean * mean, 1 / (4 * (2 * alpha + 1)), 2e-4) << alpha;
    EXPECT_EQ(q.front(), 0);
    EXPECT_EQ(q.back(), 1);
  }
  const std::vector<float> uniform = preprocess::beta_quantiles(1, 11);
  for (int i = 0; i <= 10; ++i) EXPECT_NEAR(uniform[i], i / 10.f, 1e-6);
}

struct Mixed {
  tf::Tensor images, labels;
};

constexpr int kBatch = 5;

std::vector<Mixed> mixed_batches(const MixOptions& options, int draws) {
  Scope scope = Scope::new_root();
  scope.state().seed = 3;
  tf::Tensor images(tf::DT_FLOAT, {kBatch, kRows, kColumns, 2}), labels(tf::DT_FLOAT, {kBatch, kBatch});
  labels.flat<float>().setZero();
  for (int i = 0; i < kBatch; ++i) labels.matrix<float>()(i, i) = 1;
  for (int64_t i = 0; i < images.NumElements(); ++i) images.flat<float>()(i) = std::sin(static_cast<float>(i));
  const MixedBatch batch = mix_batch(scope, ops::Const(scope, tf::Input::Initializer(images)),
                                     ops::Const(scope, tf::Input::Initializer(labels)), options);
  GraphRun run(scope);
  std::vector<Mixed> results;
  for (int i = 0; i < draws; ++i) {
    const std::vector<tf::Tensor> found = run.fetch({batch.images, batch.labels});
    results.push_back({found[0], found[1]});
  }
  return results;
}

float source(int n, int y, int x, int c) {
  return std::sin(static_cast<float>(((n * kRows + y) * kColumns + x) * 2 + c));
}

// The labels are shared as the images are; returns the part that is the image's own.
float check_labels(const Mixed& mixed) {
  const auto labels = mixed.labels.matrix<float>();
  const float own = labels(0, 0);
  for (int n = 0; n < kBatch; ++n) {
    const int other = kBatch - 1 - n;
    for (int k = 0; k < kBatch; ++k) EXPECT_NEAR(labels(n, k), (n == k ? own : 0) + (other == k ? 1 - own : 0), 1e-6);
  }
  return own;
}

TEST(MixBatch, MixupIsTheWeightedSumOfTwo) {
  double mean = 0, square = 0;
  for (const Mixed& mixed : mixed_batches({.mixup = 0.5f}, 300)) {
    const float own = check_labels(mixed);
    mean += own / 300;
    square += own * own / 300;
    for (int n = 0; n < kBatch; ++n)
      for (int y = 0; y < kRows; ++y)
        for (int x = 0; x < kColumns; ++x)
          ASSERT_NEAR((mixed.images.tensor<float, 4>()(n, y, x, 1)),
                      own * source(n, y, x, 1) + (1 - own) * source(kBatch - 1 - n, y, x, 1), 1e-5);
  }
  EXPECT_NEAR(mean, 0.5, 0.07);
  EXPECT_NEAR(square - mean * mean, 0.125, 0.03);
}

TEST(MixBatch, CutMixPastesABoxAndCountsItsPixels) {
  std::set<float> shares;
  for (const Mixed& mixed : mixed_batches({.cutmix = 1}, 100)) {
    const float own = check_labels(mixed);
    shares.insert(own);
    int pasted = 0;
    for (int y = 0; y < kRows; ++y)
      for (int x = 0; x < kColumns; ++x) {
        const float value = mixed.images.tensor<float, 4>()(1, y, x, 0);
        const bool is_own = std::abs(value - source(1, y, x, 0)) < 1e-6;
        ASSERT_TRUE(is_own || std::abs(value - source(kBatch - 2, y, x, 0)) < 1e-6);
        pasted += !is_own;
      }
    EXPECT_NEAR(1 - own, pasted / static_cast<float>(kRows * kColumns), 1e-5);
  }
  EXPECT_GT(shares.size(), 20u);
}

TEST(MixBatch, BothAreMixedByTurns) {
  int boxes = 0;
  for (const Mixed& mixed : mixed_batches({.mixup = 8, .cutmix = 1}, 200)) {
    check_labels(mixed);
    const auto is_own = [&](int y, int x) {
      return std::abs(mixed.images.tensor<float, 4>()(1, y, x, 0) - source(1, y, x, 0)) < 1e-5;
    };
    boxes += is_own(0, 0) || is_own(kRows / 2, kColumns / 2);
  }
  EXPECT_GT(boxes, 60);
  EXPECT_LT(boxes, 140);
}

TEST(MixBatch, RefusesWhatItCannotMix) {
  Scope s = Scope::new_root();
  const Output images = ops::Placeholder(s, tf::DT_FLOAT, ops::Placeholder::Shape({4, 8, 8, 3}));
  const Output labels = ops::Placeholder(s, tf::DT_FLOAT, ops::Placeholder::Shape({4, 10}));
  const Output numbers = ops::Placeholder(s, tf::DT_INT64, ops::Placeholder::Shape({4}));
  EXPECT_THROW(mix_batch(s, images, labels, {.mixup = -1}), InvalidArgumentError);
  EXPECT_THROW(mix_batch(s, images, numbers, {.mixup = 1}), InvalidArgumentError);
  EXPECT_THROW(mix_batch(s, labels, labels, {.cutmix = 1}), InvalidArgumentError);
  EXPECT_EQ(mix_batch(s, images, labels, {}).images.node(), images.node());
}

}  // namespace
}  // namespace mox
