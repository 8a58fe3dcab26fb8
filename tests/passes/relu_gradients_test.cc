#include "passes/relu_gradients.h"

#include <gtest/gtest.h>

#include "moxing/scope.h"
#include "tensorflow/cc/framework/gradients.h"
#include "tensorflow/cc/ops/standard_ops.h"
#include "tensorflow/core/public/session.h"

namespace mox {
namespace {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

std::vector<float> run(const tf::GraphDef& graph, const std::string& tensor) {
  const std::unique_ptr<tf::Session> session(tf::NewSession({}));
  TF_CHECK_OK(session->Create(graph));
  std::vector<tf::Tensor> out;
  TF_CHECK_OK(session->Run({}, {tensor}, {}, &out));
  const auto values = out[0].flat<float>();
  return {values.data(), values.data() + values.size()};
}

int gradients_of(const tf::GraphDef& graph, const std::string& tensor) {
  int count = 0;
  for (const tf::NodeDef& node : graph.node())
    count += (node.op() == "ReluGrad" || node.op() == "Relu6Grad") && node.input(1) == tensor;
  return count;
}

// The borders of both kinds are among the values.
TEST(ReluGradients, AreTheSameOfTheOutput) {
  Scope s = Scope::new_root();
  const auto x = ops::Const(s.WithOpName("x"), {-2.f, -0.f, 0.f, 0.5f, 5.f, 6.f, 7.f});
  const auto both = ops::Add(s, ops::Relu(s.WithOpName("relu"), x), ops::Relu6(s.WithOpName("relu6"), x));
  std::vector<tf::Output> gradients;
  TF_CHECK_OK(tf::AddSymbolicGradients(s, {ops::Mul(s, both, both)}, {x}, &gradients));
  ops::Identity(s.WithOpName("gradient"), gradients[0]);
  check(s, "test");
  tf::GraphDef graph;
  s.graph()->ToGraphDef(&graph);
  ASSERT_EQ(gradients_of(graph, "x"), 2);
  const std::vector<float> before = run(graph, "gradient:0");
  EXPECT_EQ(take_relu_gradients_of_outputs(&graph), 2);
  EXPECT_EQ(gradients_of(graph, "relu") + gradients_of(graph, "relu6"), 2);
  EXPECT_EQ(run(graph, "gradient:0"), before);
  EXPECT_EQ(before[0], 0);
  EXPECT_GT(before[3], 0);
  EXPECT_EQ(take_relu_gradients_of_outputs(&graph), 0);
}

TEST(ReluGradients, OfWhatNoReluTakesStay) {
  tf::GraphDef graph;
  for (const char* op : {"Relu", "Relu6Grad", "ReluGrad"}) {
    tf::NodeDef* node = graph.add_node();
    node->set_name(op);
    node->set_op(op);
    node->add_input(node->op() == "Relu" ? "x" : "dy");
    if (node->op() != "Relu") node->add_input(node->op() == "ReluGrad" ? "x:1" : "x");
  }
  EXPECT_EQ(take_relu_gradients_of_outputs(&graph), 0);
}

}  // namespace
}  // namespace mox
