#include "passes/late_weight_decay.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "moxing/scope.h"
#include "tensorflow/cc/ops/standard_ops.h"
#include "tensorflow/core/public/session.h"

namespace mox {
namespace {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

tf::GraphDef graph_of(const Scope& scope) {
  check(scope, "test");
  tf::GraphDef graph;
  scope.graph()->ToGraphDef(&graph);
  return graph;
}

bool waits(const tf::GraphDef& graph, const std::string& node, const std::string& for_what) {
  for (const tf::NodeDef& found : graph.node())
    if (found.name() == node)
      return std::find(found.input().begin(), found.input().end(), "^" + for_what) != found.input().end();
  ADD_FAILURE() << "no node " << node;
  return false;
}

TEST(LateWeightDecay, WaitsForTheOtherPartOfTheGradient) {
  Scope s = Scope::new_root();
  auto w = s.get_variable("w", {2, 2});
  ops::Identity(s.WithOpName("value"), w);
  auto data = ops::MatMul(s.WithOpName("data"), ops::Const(s, 3.f, {2, 2}), ops::Const(s, 1.f, {2, 2}));
  auto decay = ops::Multiply(s.WithOpName("decay"), w, 0.5f);
  ops::AddN(s.WithOpName("gradient"), std::vector<tf::Output>{data, decay});
  tf::GraphDef graph = graph_of(s);
  EXPECT_EQ(delay_weight_decay(&graph), 1);
  EXPECT_TRUE(waits(graph, "decay", "data"));
  std::unique_ptr<tf::Session> session(tf::NewSession({}));
  TF_CHECK_OK(session->Create(graph));
  TF_CHECK_OK(session->Run({}, {}, {"w/Assign"}, nullptr));
  std::vector<tf::Tensor> out;
  TF_CHECK_OK(session->Run({}, {"gradient", "value"}, {}, &out));
  for (int i = 0; i < 4; ++i) EXPECT_FLOAT_EQ(out[0].flat<float>()(i), 6 + out[1].flat<float>()(i) / 2);
}

TEST(LateWeightDecay, WhatTheOtherPartNeedsStays) {
  Scope s = Scope::new_root();
  auto w = s.get_variable("w", {2, 2});
  auto product = ops::Multiply(s.WithOpName("product"), w, 0.5f);
  auto data = ops::Tanh(s.WithOpName("data"), product);  // waiting for it would never end
  ops::AddN(s.WithOpName("sum"), std::vector<tf::Output>{data, product});
  ops::AddN(s, std::vector<tf::Output>{ops::Multiply(s, data, 2.f), data});  // of no variable
  ops::AddN(s, std::vector<tf::Output>{ops::Multiply(s, w, 2.f), ops::Multiply(s, w, 3.f)});
  tf::GraphDef graph = graph_of(s);
  EXPECT_EQ(delay_weight_decay(&graph), 0);
}

}  // namespace
}  // namespace mox
