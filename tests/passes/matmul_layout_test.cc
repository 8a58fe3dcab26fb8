#include "passes/matmul_layout.h"

#include <gtest/gtest.h>

#include "moxing/scope.h"
#include "tensorflow/cc/ops/standard_ops.h"
#include "tensorflow/core/public/session.h"

namespace mox {
namespace {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

tf::Tensor run(const tf::GraphDef& graph, const std::string& init, const std::string& fetch) {
  std::unique_ptr<tf::Session> session(tf::NewSession({}));
  TF_CHECK_OK(session->Create(graph));
  TF_CHECK_OK(session->Run({}, {}, {init}, nullptr));
  std::vector<tf::Tensor> out;
  TF_CHECK_OK(session->Run({}, {fetch}, {}, &out));
  return out[0];
}

TEST(MatmulLayout, TheGradientOfALargeLayerIsTheSame) {
  Scope s = Scope::new_root();
  auto w =
      s.get_variable_object("w", {1024, 512}, {.initializer = [](const Scope& i, const tf::TensorShape&, tf::DataType) {
                              return ops::Reshape(i, ops::Sin(i, ops::Range(i, 0.f, 524288.f, 1.f)), {1024, 512});
                            }});
  auto dy = ops::Reshape(s, ops::Cos(s, ops::Range(s, 0.f, 4096.f, 1.f)), {8, 512});
  auto dx = ops::MatMul(s.WithOpName("dx"), dy, w.value, ops::MatMul::TransposeB(true));
  auto same = ops::Identity(s.WithOpName("same"), dx);
  check(s, "test");
  tf::GraphDef graph;
  s.graph()->ToGraphDef(&graph);
  const tf::Tensor before = run(graph, "w/Assign", "same");
  EXPECT_EQ(rewrite_transposed_matmuls(&graph, {{"w", {1024, 512}}}, 8), 1);
  const tf::Tensor after = run(graph, "w/Assign", "same");
  ASSERT_EQ(before.shape(), after.shape());
  for (int64_t i = 0; i < before.NumElements(); ++i) ASSERT_NEAR(before.flat<float>()(i), after.flat<float>()(i), 1e-3);
}

TEST(MatmulLayout, SmallLayersAndLargeBatchesStay) {
  Scope s = Scope::new_root();
  auto small = s.get_variable("small", {16, 8});
  auto large = s.get_variable("large", {1024, 512});
  ops::MatMul(s, ops::Const(s, 1.f, {4, 8}), small, ops::MatMul::TransposeB(true));
  ops::MatMul(s, ops::Const(s, 1.f, {2048, 512}), large, ops::MatMul::TransposeB(true));
  ops::MatMul(s, ops::Const(s, 1.f, {4, 1024}), large);
  check(s, "test");
  tf::GraphDef graph;
  s.graph()->ToGraphDef(&graph);
  EXPECT_EQ(rewrite_transposed_matmuls(&graph, {{"small", {16, 8}}, {"large", {1024, 512}}}, 2048), 0);
}

}  // namespace
}  // namespace mox
