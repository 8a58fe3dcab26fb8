#include "passes/early_gradients.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "moxing/scope.h"
#include "tensorflow/cc/framework/gradients.h"
#include "tensorflow/cc/ops/standard_ops.h"
#include "tensorflow/core/framework/step_stats.pb.h"
#include "tensorflow/core/protobuf/config.pb.h"
#include "tensorflow/core/public/session.h"

namespace mox {
namespace {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

constexpr int kLayers = 6;

struct Layers {
  tf::GraphDef graph;
  std::vector<std::string> gradients;  // nodes, of the layers
};

// Layers of products; each gradient has something added to it, as a decay of its weights would be.
Layers make_layers() {
  tf::Scope s = tf::Scope::NewRootScope();
  tf::Output x = ops::RandomUniform(s, {64, 64}, tf::DT_FLOAT, ops::RandomUniform::Seed(1).Seed2(2));
  std::vector<tf::Output> weights, gradients;
  for (int i = 0; i < kLayers; ++i) {
    const tf::Output random = ops::RandomUniform(s, {64, 64}, tf::DT_FLOAT, ops::RandomUniform::Seed(3 + i).Seed2(4));
    weights.push_back(ops::Multiply(s, random, 0.05f));
    x = ops::Tanh(s, ops::MatMul(s, x, weights.back()));
  }
  const tf::Output loss = ops::Sum(s, x, {0, 1});
  TF_CHECK_OK(tf::AddSymbolicGradients(s, {loss}, weights, &gradients));
  Layers network;
  for (int i = 0; i < kLayers; ++i) {
    network.gradients.push_back("gradient_" + std::to_string(i));
    ops::AddN(s.WithOpName(network.gradients.back()),
              std::vector<tf::Output>{gradients[i], ops::Multiply(s, weights[i], 0.5f)});
  }
  TF_CHECK_OK(s.ToGraphDef(&network.graph));
  return network;
}

struct Result {
  std::vector<tf::Tensor> gradients;
  std::vector<int64_t> ended;  // microseconds
};

Result run(const Layers& network, int threads) {
  tf::SessionOptions options;
  options.config.set_inter_op_parallelism_threads(threads);
  options.config.set_intra_op_parallelism_threads(1);
  options.config.mutable_graph_options()->mutable_optimizer_options()->set_opt_level(tf::OptimizerOptions::L0);
  options.config.mutable_graph_options()->mutable_rewrite_options()->set_disable_meta_optimizer(true);
  std::unique_ptr<tf::Session> session(tf::NewSession(options));
  TF_CHECK_OK(session->Create(network.graph));
  tf::RunOptions trace;
  trace.set_trace_level(tf::RunOptions::FULL_TRACE);
  tf::RunMetadata metadata;
  Result result;
  TF_CHECK_OK(session->Run(trace, {}, network.gradients, {}, &result.gradients, &metadata));
  std::map<std::string, int64_t> ended;
  for (const auto& device : metadata.step_stats().dev_stats())
    for (const auto& node : device.node_stats())
      ended[node.node_name()] = node.all_start_micros() + node.op_end_rel_micros();
  for (const std::string& gradient : network.gradients) result.ended.push_back(ended.at(gradient));
  return result;
}

TEST(EarlyGradients, ThoseOfTheLastLayersComeFirst) {
  Layers network = make_layers();
  const Result before = run(network, 1);
  EXPECT_EQ(finish_gradients_early(&network.graph, network.gradients, 1), kLayers - 2);
  const Result after = run(network, 1);
  // But for the first two layers: nothing is left to wait there.
  EXPECT_TRUE(std::is_sorted(after.ended.rbegin(), after.ended.rend() - 1)) << ::testing::PrintToString(after.ended);
  for (int i = 0; i < kLayers; ++i)
    for (int64_t k = 0; k < 64 * 64; ++k)
      ASSERT_EQ(before.gradients[i].flat<float>()(k), after.gradients[i].flat<float>()(k)) << i;
}

TEST(EarlyGradients, WithMoreThreadsLaterLayersWait) {
  for (const int threads : {2, 4}) {
    Layers network = make_layers();
    EXPECT_EQ(finish_gradients_early(&network.graph, network.gradients, threads), kLayers - 1 - threads);
    const Result after = run(network, threads);
    EXPECT_LT(after.ended[kLayers - 1], after.ended[0]);
  }
}

TEST(EarlyGradients, WhatIsDeadInSomeStepsStaysAsItIs) {
  for (const bool dead : {false, true}) {
    tf::Scope s = tf::Scope::NewRootScope();
    tf::Output x = ops::Tanh(s, ops::Const(s, 2.f, {2, 2}));
    if (dead) x = ops::Switch(s, x, ops::Const(s, false)).output_true;
    ops::Square(s.WithOpName("first"), x);
    const tf::Output next = ops::Exp(s.WithOpName("next"), x);
    ops::Square(s.WithOpName("second"), next);
    ops::Tanh(s.WithOpName("third"), next);
    tf::GraphDef graph;
    TF_CHECK_OK(s.ToGraphDef(&graph));
    EXPECT_EQ(finish_gradients_early(&graph, {"first", "second", "third"}, 1), dead ? 0 : 1);
  }
}

}  // namespace
}  // namespace mox
