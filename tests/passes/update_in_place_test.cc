#include "passes/update_in_place.h"

#include <gtest/gtest.h>

#include <set>

#include "moxing/scope.h"
#include "passes/joined.h"
#include "passes/passes.h"
#include "passes/processor.h"
#include "tensorflow/cc/framework/gradients.h"
#include "tensorflow/cc/ops/standard_ops.h"
#include "tensorflow/core/public/session.h"

namespace mox {
namespace {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

std::set<std::string> waits_of(const tf::GraphDef& graph, const std::string& name) {
  std::set<std::string> waits;
  for (const tf::NodeDef& node : graph.node())
    if (node.name() == name)
      for (const std::string& input : node.input())
        if (input[0] == '^') waits.insert(input.substr(1));
  return waits;
}

// Two layers with an update each; a summary and an evaluation read the weights, too, and so does what follows an
// update.
TEST(UpdateInPlace, WaitsForTheStepsReadersAlone) {
  Scope s = Scope::new_root();
  const auto w = s.get_variable("w", {2, 2}), v = s.get_variable("v", {2, 2});
  const tf::Output x = ops::Const(s, 1.f, {2, 2});
  const auto matrix = ops::Reshape(s.WithOpName("matrix"), w, {2, 2});
  const auto forward = ops::MatMul(s.WithOpName("forward"), x, matrix);
  const auto result = ops::MatMul(s.WithOpName("result"), forward, v);
  const auto backward = ops::MatMul(s.WithOpName("backward"), result, v, ops::MatMul::TransposeB(true));
  ops::Mean(s.WithOpName("summary"), w, 0);
  ops::MatMul(s.WithOpName("evaluation"), ops::Const(s, 2.f, {2, 2}), w);
  const auto handle = [&](const tf::Output& read) { return read.op().input(0); };
  const auto update_w = ops::ResourceApplyGradientDescent(s.WithOpName("update_w"), handle(w), 0.5f, backward);
  ops::ResourceApplyGradientDescent(s.WithOpName("update_v"), handle(v), 0.5f, result);
  const auto again =
      ops::ReadVariableOp(s.WithOpName("again").WithControlDependencies(std::vector<tf::Operation>{update_w.operation}),
                          handle(w), tf::DT_FLOAT);
  ops::Identity(s.WithOpName("after"), ops::Neg(s.WithOpName("negative"), again));
  check(s, "test");
  BuiltGraph built;
  s.graph()->ToGraphDef(&built.graph);
  EXPECT_EQ(update_variables_in_place(&built), 2);
  EXPECT_EQ(waits_of(built.graph, "update_w"), std::set<std::string>{"forward"});
  EXPECT_EQ(waits_of(built.graph, "update_v"), (std::set<std::string>{"result", "backward"}));

  const std::unique_ptr<tf::Session> session(tf::NewSession({}));
  TF_CHECK_OK(session->Create(built.graph));
  TF_CHECK_OK(session->Run({}, {}, {"w/Assign", "v/Assign"}, nullptr));
  std::vector<tf::Tensor> before, after;
  TF_CHECK_OK(session->Run({}, {"w/read", "v/read"}, {}, &before));
  TF_CHECK_OK(session->Run({}, {"backward", "result", "after"}, {"update_w", "update_v"}, &after));
  for (int i = 0; i < 4; ++i)
    EXPECT_FLOAT_EQ(after[2].flat<float>()(i), -(before[0].flat<float>()(i) - after[0].flat<float>()(i) / 2));
}

// By the list of passes, in a training: the bias, the ReLU and the weights' gradient change which operation reads the
// filter. Waited for, one whose work another does would run beside it.
TEST(UpdateInPlace, WaitsForNothingWhoseWorkAnotherDoes) {
  if (!testing::has_vectors()) GTEST_SKIP() << "this processor has no AVX2";
  Scope s = Scope::new_root();
  const auto w = s.get_variable("w", {3, 3, 16, 16}), b = s.get_variable("b", {16});
  const tf::Output x = ops::Identity(s, ops::Const(s, 1.f, {2, 8, 8, 16}));
  const auto conv = ops::Conv2D(s.WithOpName("conv"), x, w, {1, 1, 1, 1}, "SAME");
  const auto relu = ops::Relu(s.WithOpName("relu"), ops::BiasAdd(s.WithOpName("bias"), conv, b));
  std::vector<tf::Output> gradients;
  TF_CHECK_OK(tf::AddSymbolicGradients(s, {ops::L2Loss(s, relu)}, {w}, &gradients));
  ops::ResourceApplyGradientDescent(s.WithOpName("update"), w.op().input(0), 0.5f, gradients[0]);
  check(s, "test");
  BuiltGraph built;
  built.towers.resize(1);
  s.graph()->ToGraphDef(&built.graph);
  run_passes(&built, {});
  for (const tf::NodeDef& node : built.graph.node()) {
    if (node.name() == "conv") EXPECT_NE(joined_by(node), "") << "nothing is joined: the test shows nothing";
    if (node.name() == "relu") EXPECT_EQ(node.op(), "MoxConvolution");
  }
  const std::set<std::string> waits = waits_of(built.graph, "update");
  EXPECT_TRUE(waits.count("relu"));
  EXPECT_FALSE(waits.count("conv"));
}

TEST(UpdateInPlace, WithoutReadersNothingChanges) {
  Scope s = Scope::new_root();
  const auto w = s.get_variable("w", {2});
  ops::ResourceApplyGradientDescent(s.WithOpName("update"), w.op().input(0), 0.5f, ops::Const(s, 1.f, {2}));
  check(s, "test");
  BuiltGraph built;
  s.graph()->ToGraphDef(&built.graph);
  EXPECT_EQ(update_variables_in_place(&built), 0);
}

}  // namespace
}  // namespace mox
