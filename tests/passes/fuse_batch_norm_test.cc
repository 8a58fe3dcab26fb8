// The joined batch norm against the separate operations, values and gradients.
#include "passes/fuse_batch_norm.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <set>
#include <string>

#include "moxing/layers.h"
#include "passes/joined.h"
#include "passes/norm_networks.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace mox {
namespace {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;
using tensorflow::Output;

using testing::build;
using testing::distance;
using testing::floats;
using testing::Model;
using testing::Network;
using testing::run;

void expect_same(Model model, int joined, double tolerance, int lone = 0) {
  const std::vector<tf::Tensor> before = run(model);
  ASSERT_EQ(fuse_batch_norm(&model.graph), joined);
  if (lone > 0) ASSERT_EQ(take_lone_batch_norms(&model.graph), lone);
  const std::vector<tf::Tensor> after = run(model);
  ASSERT_EQ(before.size(), after.size());
  for (size_t i = 0; i < before.size(); ++i) EXPECT_LE(distance(before[i], after[i]), tolerance) << model.fetches[i];
}

Output norm(const Scope& s, const Output& x, const std::string& name = "BatchNorm", bool training = true) {
  return layers::batch_norm(s, x, name, {.scale = true, .is_training = training, .fused = true});
}

Output norm_relu(const Scope& s, const Output& x, const Output&) { return ops::Relu(s, norm(s, x)); }

Output residual(const Scope& s, const Output& x, const Output& side) {
  return ops::Relu(s, ops::AddV2(s, side, norm(s, x)));
}

TEST(FuseBatchNorm, ReluAfterIt) {
  for (const std::vector<int>& shape : {std::vector<int>{4, 5, 7, 24}, {2, 1, 1, 3}, {3, 40, 40, 64}, {2, 3, 3, 2048}})
    expect_same(build(shape, tf::DT_FLOAT, norm_relu), 1, 2e-5);
}

TEST(FuseBatchNorm, Relu6AfterIt) {
  const auto network = [](const Scope& s, const Output& x, const Output&) {
    return ops::Relu6(s, ops::Multiply(s, norm(s, x), 1.f));  // not directly after it: stays
  };
  expect_same(build({4, 5, 7, 24}, tf::DT_FLOAT, network), 0, 1e-6);
  const auto direct = [](const Scope& s, const Output& x, const Output&) {
    return ops::Relu6(
        s, layers::batch_norm(s, x, "BatchNorm",
                              {.scale = true,
                               .is_training = true,
                               .fused = true,
                               .gamma_initializer = [](const Scope& i, const tf::TensorShape& shape, tf::DataType) {
                                 return ops::Const(i, 8.f, shape);  // so that many values are over 6
                               }}));
  };
  expect_same(build({4, 5, 7, 24}, tf::DT_FLOAT, direct), 1, 2e-5);
}

TEST(FuseBatchNorm, AResidualBetween) {
  expect_same(build({4, 5, 7, 24}, tf::DT_FLOAT, residual), 1, 2e-5);
  expect_same(build({3, 20, 20, 96}, tf::DT_FLOAT, residual), 1, 2e-5);
}

TEST(FuseBatchNorm, AResidualThatIsABatchNorm) {
  const auto network = [](const Scope& s, const Output& x, const Output& side) {
    return ops::Relu(s, ops::Add(s, norm(s, x, "a"), norm(s, side, "b")));
  };
  expect_same(build({4, 5, 7, 24}, tf::DT_FLOAT, network), 1, 2e-5);
}

TEST(FuseBatchNorm, ALargeMeanCostsNoDigits) {
  // The variance is 0.5, the mean 300: a sum of squares in float32 would keep two digits.
  expect_same(build({4, 16, 16, 8}, tf::DT_FLOAT, norm_relu, {.mean = 300}), 1, 1e-3);
}

// As near to float32 as the separate operations of 16 bits are.
TEST(FuseBatchNorm, Bfloat16) {
  for (const Network& network : {Network(norm_relu), Network(residual)}) {
    const std::vector<int> shape{4, 9, 9, 32};
    const std::vector<tf::Tensor> truth = run(build(shape, tf::DT_FLOAT, network));
    Model model = build(shape, tf::DT_BFLOAT16, network);
    const std::vector<tf::Tensor> separate = run(model);
    ASSERT_EQ(fuse_batch_norm(&model.graph), 1);
    const std::vector<tf::Tensor> joined = run(model);
    for (size_t i = 0; i < truth.size(); ++i)
      EXPECT_LE(distance(truth[i], joined[i]), std::max(0.005, 1.1 * distance(truth[i], separate[i])))
          << model.fetches[i];
  }
}

TEST(FuseBatchNorm, BlocksOfAResidualNetwork) {
  const auto network = [](const Scope& s, const Output& x, const Output& side) {
    Output y = ops::Relu(s, norm(s, x, "first"));
    for (int i = 0; i < 3; ++i) {
      const std::string name = "block" + std::to_string(i);
      const Output inner = ops::Relu(s, norm(s, layers::conv2d(s, y, 16, {1, 1}, name + "a"), name + "norm_a"));
      y = ops::Relu(s, ops::Add(s, norm(s, layers::conv2d(s, inner, 16, {3, 3}, name + "b"), name + "norm_b"), y));
    }
    return Output(ops::Add(s, y, side));
  };
  expect_same(build({4, 8, 8, 16}, tf::DT_FLOAT, network), 7, 1e-4);
}

TEST(FuseBatchNorm, WhatItCannotJoinStays) {
  const auto inference = [](const Scope& s, const Output& x, const Output&) {
    return ops::Relu(s, norm(s, x, "BatchNorm", false));
  };
  expect_same(build({2, 4, 4, 8}, tf::DT_FLOAT, inference), 0, 1e-6);
  const auto read_twice = [](const Scope& s, const Output& x, const Output&) {
    const Output y = norm(s, x);
    return Output(ops::Add(s, ops::Relu(s, y), y));
  };
  expect_same(build({2, 4, 4, 8}, tf::DT_FLOAT, read_twice), 0, 1e-6);
  expect_same(build({2, 4, 4, 8}, tf::DT_FLOAT, residual, {.side_shape = {1, 1, 1, 8}}), 0,
              1e-6);  // a broadcast, no residual
}

TEST(FuseBatchNorm, ANanStaysOne) {
  const auto network = [](const Scope& s, const Output& x, const Output& side) {
    return residual(s, ops::Multiply(s, x, std::nanf("")), side);
  };
  Model model = build({2, 4, 4, 8}, tf::DT_FLOAT, network);
  ASSERT_EQ(fuse_batch_norm(&model.graph), 1);
  for (float v : floats(run(model)[0])) ASSERT_TRUE(std::isnan(v));
}

int count(const tf::GraphDef& graph, const std::string& op) {
  return std::count_if(graph.node().begin(), graph.node().end(), [&](const tf::NodeDef& n) { return n.op() == op; });
}

Output alone(const Scope& s, const Output& x, const Output&) { return norm(s, x); }
Output added(const Scope& s, const Output& x, const Output& side) { return ops::AddV2(s, side, norm(s, x)); }

TEST(LoneBatchNorm, IsJoinedWithWhatIsAdded) {
  for (const std::vector<int>& shape : {std::vector<int>{4, 5, 7, 24}, {2, 1, 1, 3}, {3, 40, 40, 64}}) {
    expect_same(build(shape, tf::DT_FLOAT, alone), 0, 2e-5, 1);
    expect_same(build(shape, tf::DT_FLOAT, added), 0, 2e-5, 1);
  }
  Model model = build({4, 5, 7, 24}, tf::DT_FLOAT, added);
  take_lone_batch_norms(&model.graph);
  EXPECT_EQ(count(model.graph, "AddV2"), count(build({4, 5, 7, 24}, tf::DT_FLOAT, added).graph, "AddV2") - 1);
}

TEST(LoneBatchNorm, BesideOthers) {
  // Two that are added: one is joined with the sum. One whose result is read twice, once by a ReLU.
  const auto both = [](const Scope& s, const Output& x, const Output& side) {
    return Output(ops::Add(s, norm(s, x, "a"), norm(s, side, "b")));
  };
  expect_same(build({4, 5, 7, 24}, tf::DT_FLOAT, both), 0, 2e-5, 2);
  const auto read_twice = [](const Scope& s, const Output& x, const Output&) {
    const Output y = norm(s, x);
    return Output(ops::Add(s, ops::Relu(s, y), y));
  };
  expect_same(build({2, 4, 4, 8}, tf::DT_FLOAT, read_twice), 0, 2e-5, 1);
  const auto a_shortcut = [](const Scope& s, const Output& x, const Output& side) {
    return ops::Relu(s, ops::Add(s, norm(s, x, "a"), norm(s, side, "b")));
  };
  expect_same(build({4, 5, 7, 24}, tf::DT_FLOAT, a_shortcut), 1, 2e-5, 1);
  expect_same(build({2, 4, 4, 8}, tf::DT_FLOAT, added, {.side_shape = {1, 1, 1, 8}}), 0, 2e-5,
              1);  // a broadcast, no residual
}

// On either side of the sum, whichever of the two is joined with it.
TEST(LoneBatchNorm, ChainsAndSums) {
  const auto chain = [](const Scope& s, const Output& x, const Output& side) {
    const Output a = norm(s, ops::Tanh(s, norm(s, x, "a")), "b"), c = norm(s, side, "c");
    const Output first = ops::Multiply(s, ops::Add(s, c, a), side);
    const Output e = norm(s, ops::Multiply(s, a, x), "e");
    return Output(ops::AddV2(s, first, ops::Multiply(s, ops::AddV2(s, e, norm(s, x, "d")), x)));
  };
  expect_same(build({4, 5, 7, 24}, tf::DT_FLOAT, chain), 0, 1e-4, 5);
}

TEST(LoneBatchNorm, KeepsItsStatisticsByName) {
  for (const Network& network : {Network(alone), Network(added)}) {
    Model model = build({4, 5, 7, 24}, tf::DT_FLOAT, network);
    for (const tf::NodeDef& node : model.graph.node())
      if (node.op() == "FusedBatchNormV3")
        for (const char* port : {":0", ":1", ":2"}) model.fetches.push_back(node.name() + port);
    expect_same(model, 0, 2e-5, 1);
  }
}

TEST(LoneBatchNorm, Bfloat16) {
  for (const Network& network : {Network(alone), Network(added)}) {
    const std::vector<int> shape{4, 9, 9, 32};
    const std::vector<tf::Tensor> truth = run(build(shape, tf::DT_FLOAT, network));
    Model model = build(shape, tf::DT_BFLOAT16, network);
    const std::vector<tf::Tensor> separate = run(model);
    ASSERT_EQ(take_lone_batch_norms(&model.graph), 1);
    const std::vector<tf::Tensor> joined = run(model);
    for (size_t i = 0; i < truth.size(); ++i)
      EXPECT_LE(distance(truth[i], joined[i]), std::max(0.005, 1.1 * distance(truth[i], separate[i])))
          << model.fetches[i];
  }
}

// Who feeds what nobody reads any more, or what the clamp's gradient is not computed of, is told so.
TEST(FuseBatchNorm, SaysWhatItJoined) {
  const auto joined = [](const Network& network, bool lone = false) {
    Model model = build({2, 4, 4, 8}, tf::DT_FLOAT, network);
    EXPECT_EQ(lone ? take_lone_batch_norms(&model.graph) : fuse_batch_norm(&model.graph), 1);
    std::set<std::string> kinds;
    for (const tf::NodeDef& node : model.graph.node())
      if (joined_by(node) == "MOX_FUSE_BATCH_NORM") kinds.insert(node.op());
    return kinds;
  };
  using Kinds = std::set<std::string>;
  EXPECT_EQ(joined(norm_relu), (Kinds{"FusedBatchNormV3", "ReluGrad", "MoxNormalize"}));
  EXPECT_EQ(joined(residual), (Kinds{"AddV2", "FusedBatchNormV3", "ReluGrad"}));
  EXPECT_EQ(joined(alone, true), (Kinds{"FusedBatchNormV3"}));
}

TEST(LoneBatchNorm, WhatItIsNotStays) {
  const auto inference = [](const Scope& s, const Output& x, const Output&) { return norm(s, x, "BatchNorm", false); };
  Model model = build({2, 4, 4, 8}, tf::DT_FLOAT, inference);
  EXPECT_EQ(take_lone_batch_norms(&model.graph), 0);
  setenv("MOX_FUSE_BATCH_NORM", "0", 1);
  model = build({2, 4, 4, 8}, tf::DT_FLOAT, alone);
  EXPECT_EQ(take_lone_batch_norms(&model.graph), 0);
  unsetenv("MOX_FUSE_BATCH_NORM");
}

TEST(LoneBatchNorm, NansAndInfinitiesOfTheGradientPass) {
  for (const float value : {std::nanf(""), INFINITY}) {
    const auto network = [&](const Scope& s, const Output& x, const Output& side) {
      return ops::Multiply(s, added(s, x, side), value);
    };
    Model model = build({2, 4, 4, 8}, tf::DT_FLOAT, network);
    ASSERT_EQ(take_lone_batch_norms(&model.graph), 1);
    for (float v : floats(run(model)[1])) ASSERT_TRUE(std::isnan(v));
  }
}

}  // namespace
}  // namespace mox
