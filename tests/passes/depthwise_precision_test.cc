#include "passes/depthwise_precision.h"

#include <gtest/gtest.h>

#include <cmath>

#include "moxing/scope.h"
#include "passes/processor.h"
#include "tensorflow/cc/ops/standard_ops.h"
#include "tensorflow/core/public/session.h"

namespace mox {
namespace {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

tf::Output wave(const Scope& s, const tf::TensorShape& shape, float step, tf::DataType type) {
  tf::Tensor values(tf::DT_FLOAT, shape);
  for (int64_t i = 0; i < values.NumElements(); ++i) values.flat<float>()(i) = std::sin(step * static_cast<float>(i));
  return ops::Cast(s, ops::Const(s, tf::Input::Initializer(values)), type);
}

tf::GraphDef gradients(tf::DataType type, int stride) {
  Scope s = Scope::new_root();
  const int out = 8 / stride;
  const std::vector<int> strides{1, stride, stride, 1};
  const auto x = wave(s, {2, 8, 8, 4}, 0.25f, type), w = wave(s, {3, 3, 4, 1}, 0.5f, type),
             dy = wave(s, {2, out, out, 4}, 0.75f, type);
  const auto dx = ops::DepthwiseConv2dNativeBackpropInput(s.WithOpName("dx"), {2, 8, 8, 4}, w, dy, strides, "SAME");
  const auto dw = ops::DepthwiseConv2dNativeBackpropFilter(s.WithOpName("dw"), x, {3, 3, 4, 1}, dy, strides, "SAME");
  ops::Cast(s.WithOpName("dx32"), dx, tf::DT_FLOAT);
  ops::Cast(s.WithOpName("dw32"), dw, tf::DT_FLOAT);
  check(s, "test");
  tf::GraphDef graph;
  s.graph()->ToGraphDef(&graph);
  return graph;
}

std::vector<tf::Tensor> run(const tf::GraphDef& graph) {
  std::unique_ptr<tf::Session> session(tf::NewSession({}));
  TF_CHECK_OK(session->Create(graph));
  std::vector<tf::Tensor> out;
  TF_CHECK_OK(session->Run({}, {"dx32", "dw32"}, {}, &out));
  return out;
}

// Where these are not given to our own kernels (passes/fast_convolutions.h).
TEST(DepthwisePrecision, StridedGradientsAreAsExactAsBfloat16) {
  const testing::Environment slow("MOX_FAST_CONVOLUTIONS", "0");
  const auto exact = run(gradients(tf::DT_FLOAT, 2));
  tf::GraphDef graph = gradients(tf::DT_BFLOAT16, 2);
  EXPECT_EQ(widen_depthwise_gradients(&graph), 2);
  const auto found = run(graph);
  for (int which : {0, 1}) {
    ASSERT_EQ(exact[which].shape(), found[which].shape());
    for (int64_t i = 0; i < exact[which].NumElements(); ++i) {
      const float wanted = exact[which].flat<float>()(i);
      // Inputs rounded to 8 bits, sums of up to 32 terms of at most 1.
      ASSERT_NEAR(wanted, found[which].flat<float>()(i), 0.05 + std::abs(wanted) / 64) << which << " " << i;
    }
  }
}

TEST(DepthwisePrecision, OthersStay) {
  const testing::Environment slow("MOX_FAST_CONVOLUTIONS", "0");
  tf::GraphDef graph = gradients(tf::DT_BFLOAT16, 1);
  EXPECT_EQ(widen_depthwise_gradients(&graph), 0);
  graph = gradients(tf::DT_FLOAT, 2);
  EXPECT_EQ(widen_depthwise_gradients(&graph), 0);
}

}  // namespace
}  // namespace mox
