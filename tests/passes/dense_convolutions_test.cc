#include "passes/dense_convolutions.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "moxing/initializers.h"
#include "moxing/scope.h"
#include "passes/matmul_layout.h"
#include "tensorflow/cc/framework/gradients.h"
#include "tensorflow/cc/ops/standard_ops.h"
#include "tensorflow/core/public/session.h"

namespace mox {
namespace {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

// A layer's result and both its gradients, as "y", "dx" and "dw".
tf::GraphDef layer(const std::vector<int64_t>& image, const std::vector<int64_t>& filter, const std::string& padding) {
  Scope s = Scope::new_root();
  tf::Tensor pixels(tf::DT_FLOAT, tf::TensorShape(image));
  for (int64_t i = 0; i < pixels.NumElements(); ++i) pixels.flat<float>()(i) = static_cast<float>(std::sin(i));
  const auto x = ops::Const(s.WithOpName("x"), tf::Input::Initializer(pixels));
  const auto w = s.get_variable("w", tf::TensorShape(filter), {.initializer = truncated_normal_initializer(0.01f)});
  const auto y = ops::Conv2D(s.WithOpName("conv"), x, w, {1, 1, 1, 1}, padding);
  std::vector<tf::Output> gradients;
  TF_CHECK_OK(tf::AddSymbolicGradients(s, {ops::Mul(s, y, y)}, {x, w}, &gradients));
  ops::Identity(s.WithOpName("y"), y);
  ops::Identity(s.WithOpName("dx"), gradients[0]);
  ops::Identity(s.WithOpName("dw"), gradients[1]);
  check(s, "test");
  tf::GraphDef graph;
  s.graph()->ToGraphDef(&graph);
  return graph;
}

int count_of(const tf::GraphDef& graph, const std::string& kind) {
  return static_cast<int>(std::count_if(graph.node().begin(), graph.node().end(),
                                        [&](const tf::NodeDef& node) { return node.op().rfind(kind, 0) == 0; }));
}

// Of both graphs with the same weights.
void expect_same_numbers(const tf::GraphDef& one, const tf::GraphDef& other) {
  std::vector<tf::Tensor> weights, results[2];
  for (const tf::GraphDef* graph : {&one, &other}) {
    const std::unique_ptr<tf::Session> session(tf::NewSession({}));
    TF_CHECK_OK(session->Create(*graph));
    if (weights.empty()) {
      TF_CHECK_OK(session->Run({}, {}, {"w/Assign"}, nullptr));
      TF_CHECK_OK(session->Run({}, {"w/read"}, {}, &weights));
    }
    TF_CHECK_OK(session->Run({{"w/read", weights[0]}}, {"y", "dx", "dw"}, {}, &results[graph == &other]));
  }
  for (size_t i = 0; i < 3; ++i) {
    ASSERT_EQ(results[0][i].shape(), results[1][i].shape());
    const auto a = results[0][i].flat<float>(), b = results[1][i].flat<float>();
    double largest = 0;
    for (int64_t j = 0; j < a.size(); ++j) largest = std::max(largest, std::abs(static_cast<double>(a(j))));
    ASSERT_GT(largest, 0);
    for (int64_t j = 0; j < a.size(); ++j) ASSERT_NEAR(a(j), b(j), 1e-5 * largest) << "result " << i << " at " << j;
  }
}

TEST(DenseConvolutions, AreProductsWithTheirGradients) {
  const tf::GraphDef before = layer({2, 4, 4, 256}, {4, 4, 256, 1024}, "VALID");
  tf::GraphDef after = before;
  EXPECT_EQ(make_dense_convolutions_products(&after), 3);
  EXPECT_EQ(count_of(after, "Conv2D"), 0);
  EXPECT_EQ(count_of(after, "MatMul"), 3);
  // The product with the transposed weights is what matmul_layout makes faster.
  std::map<std::string, tf::TensorShape> variables{{"w", tf::TensorShape({4, 4, 256, 1024})}};
  EXPECT_EQ(rewrite_transposed_matmuls(&after, variables, 2), 1);
  expect_same_numbers(before, after);
}

TEST(DenseConvolutions, OfOnePixelHaveNoPadding) {
  const tf::GraphDef before = layer({3, 1, 1, 2048}, {1, 1, 2048, 2048}, "SAME");
  tf::GraphDef after = before;
  EXPECT_EQ(make_dense_convolutions_products(&after), 3);
  expect_same_numbers(before, after);
}

TEST(DenseConvolutions, OthersStay) {
  for (tf::GraphDef graph : {layer({1, 5, 4, 256}, {4, 4, 256, 1024}, "VALID"),  // two positions
                             layer({1, 4, 4, 256}, {4, 4, 256, 1024}, "SAME"),   // pads
                             layer({1, 4, 4, 16}, {4, 4, 16, 64}, "VALID")})     // small
    EXPECT_EQ(make_dense_convolutions_products(&graph), 0);
  tf::GraphDef padded = layer({1, 1, 1, 2048}, {1, 1, 2048, 2048}, "SAME");
  for (tf::NodeDef& node : *padded.mutable_node())
    if (node.name() == "conv") {  // of one pixel, made three by three
      tf::SetAttrValue("EXPLICIT", &(*node.mutable_attr())["padding"]);
      tf::SetAttrValue(std::vector<int64_t>{0, 0, 1, 1, 1, 1, 0, 0}, &(*node.mutable_attr())["explicit_paddings"]);
    }
  make_dense_convolutions_products(&padded);
  EXPECT_EQ(count_of(padded, "Conv2D"), 1);
}

}  // namespace
}  // namespace mox
