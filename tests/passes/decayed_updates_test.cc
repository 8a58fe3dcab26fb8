#include "passes/decayed_updates.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>

#include "graph/graph_state.h"
#include "moxing/scope.h"
#include "passes/processor.h"
#include "tensorflow/cc/framework/gradients.h"
#include "tensorflow/cc/ops/standard_ops.h"
#include "tensorflow/core/public/session.h"

namespace mox {
namespace {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;
using tf::Output;

struct Training {
  Scope s = Scope::new_root();
  Output w, slot, gradient;

  explicit Training(const std::vector<int>& shape) {
    s.state().seed = 7;
    const tf::TensorShape dims = [&] {
      tf::TensorShape result;
      for (const int size : shape) result.AddDim(size);
      return result;
    }();
    w = s.get_variable("w", dims);
    slot = s.get_variable("slot", dims);
    const Output x = ops::Const(s, 0.3f, dims);
    const Output loss = ops::AddN(
        s, std::vector<Output>{ops::Sum(s, ops::Multiply(s, ops::Sin(s, w), x), ops::Range(s, 0, ops::Rank(s, w), 1)),
                               ops::Multiply(s, ops::L2Loss(s, w), 0.01f)});
    std::vector<Output> gradients;
    TF_CHECK_OK(tf::AddSymbolicGradients(s, {loss}, {w}, &gradients));
    gradient = gradients[0];
  }
  static Output handle(const Output& read) { return read.op().input(0); }
  Output momentum_update(const std::string& name, const Output& of, bool nesterov = false) {
    ops::ResourceApplyMomentum(s.WithOpName(name), handle(w), handle(slot), 0.1f,
                               ops::Identity(s, ops::Identity(s, of)), 0.9f,
                               ops::ResourceApplyMomentum::UseNesterov(nesterov));
    return of;
  }
  tf::GraphDef graph() {
    check(s, "test");
    tf::GraphDef graph;
    s.graph()->ToGraphDef(&graph);
    return graph;
  }
};

int join(tf::GraphDef* graph) { return join_weight_decay(graph, {"w/Assign", "slot/Assign"}); }

// The bits of the weights and of their slot after three steps.
std::string trained(const tf::GraphDef& graph) {
  const std::unique_ptr<tf::Session> session(tf::NewSession({}));
  TF_CHECK_OK(session->Create(graph));
  TF_CHECK_OK(session->Run({}, {}, {"w/Assign", "slot/Assign"}, nullptr));
  std::vector<tf::Tensor> held, out;  // what somebody holds is left as it is: the first update writes elsewhere
  TF_CHECK_OK(session->Run({}, {"w/read", "slot/read"}, {}, &held));
  const std::string before(held[0].tensor_data());
  for (int i = 0; i < 3; ++i) TF_CHECK_OK(session->Run({}, {}, {"update"}, nullptr));
  EXPECT_EQ(before, held[0].tensor_data());
  TF_CHECK_OK(session->Run({}, {"w/read", "slot/read"}, {}, &out));
  EXPECT_NE(before, out[0].tensor_data());
  return std::string(out[0].tensor_data()) + std::string(out[1].tensor_data());
}

TEST(DecayedUpdates, GiveTheSameBits) {
  for (const bool nesterov : {false, true})
    for (const std::vector<int>& shape : {std::vector<int>{1}, {3, 5}, {301, 1001}}) {
      Training training(shape);
      training.momentum_update("update", training.gradient, nesterov);
      tf::GraphDef graph = training.graph();
      const std::string before = trained(graph);
      ASSERT_EQ(join(&graph), 1);
      EXPECT_TRUE(std::none_of(graph.node().begin(), graph.node().end(),
                               [](const auto& node) { return node.op() == "ResourceApplyMomentum"; }));
      EXPECT_EQ(trained(graph), before) << shape[0] << (nesterov ? " nesterov" : "");
      EXPECT_EQ(join(&graph), 0);
    }
}

int joined(const std::function<void(Training*)>& update) {
  Training training({3, 5});
  update(&training);
  tf::GraphDef graph = training.graph();
  return join(&graph);
}

TEST(DecayedUpdates, WhatDiffersStays) {
  const auto plain = [](Training* t) { t->momentum_update("update", t->gradient); };
  EXPECT_EQ(joined(plain), 1);
  EXPECT_EQ(joined([](Training* t) { ops::Neg(t->s, t->momentum_update("update", t->gradient)); }), 0)
      << "somebody else reads the gradient";
  EXPECT_EQ(joined([](Training* t) {
              t->momentum_update("update", t->gradient);
              ops::ResourceApplyGradientDescent(t->s, Training::handle(t->w), 0.1f, ops::Neg(t->s, t->w));
            }),
            0)
      << "two updates";
  EXPECT_EQ(joined([](Training* t) {
              t->momentum_update("update", t->gradient);
              ops::AssignVariableOp(t->s, Training::handle(t->w), ops::Neg(t->s, t->w));
            }),
            0)
      << "an assignment in the step";
  EXPECT_EQ(joined([](Training* t) {
              t->momentum_update("update", ops::AddN(t->s, std::vector<Output>{ops::Multiply(t->s, t->slot, 0.1f),
                                                                               ops::Neg(t->s, t->w)}));
            }),
            0)
      << "another variable decays";
  EXPECT_EQ(joined([](Training* t) {
              const Output each = ops::Const(t->s, 0.1f, {3, 5});
              t->momentum_update("update", ops::AddN(t->s, std::vector<Output>{ops::Multiply(t->s, t->w, each),
                                                                               ops::Neg(t->s, t->w)}));
            }),
            0)
      << "a factor for each weight";
  EXPECT_EQ(
      joined([](Training* t) { ops::ResourceApplyGradientDescent(t->s, Training::handle(t->w), 0.1f, t->gradient); }),
      0);
  const testing::Environment off("MOX_DECAYED_UPDATES", "0");
  EXPECT_EQ(joined(plain), 0);
}

TEST(DecayedUpdates, SayWhatDoesNotFit) {
  const auto error = [](const std::vector<std::string>& initializers) {
    Training training({3, 5});
    training.momentum_update("update", training.gradient);
    tf::GraphDef graph = training.graph();
    EXPECT_EQ(join(&graph), 1);
    for (tf::NodeDef& node : *graph.mutable_node())
      if (node.name() == "update") node.set_input(3, "other");
    const Scope other = Scope::new_root();
    ops::Const(other.WithOpName("other"), 1.f, {2, 2});
    tf::GraphDef more;
    other.graph()->ToGraphDef(&more);
    for (const tf::NodeDef& node : more.node())
      if (node.name() == "other") *graph.add_node() = node;
    const std::unique_ptr<tf::Session> session(tf::NewSession({}));
    TF_CHECK_OK(session->Create(graph));
    TF_CHECK_OK(session->Run({}, {}, initializers, nullptr));
    return std::string(session->Run({}, {}, {"update"}, nullptr).message());
  };
  EXPECT_NE(error({"w/Assign"}).find("slot"), std::string::npos) << "not initialized";
  EXPECT_NE(error({"w/Assign", "slot/Assign"}).find("update: a variable is float [3,5], the gradient [2,2]"),
            std::string::npos);
}

}  // namespace
}  // namespace mox
