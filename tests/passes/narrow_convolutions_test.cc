#include "passes/narrow_convolutions.h"

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

const std::vector<std::string> kResults = {"y32", "dx32", "dw32", "db32"};

tf::Output waves(const Scope& s, const tf::TensorShape& shape, float step, tf::DataType type) {
  tf::Tensor values(tf::DT_FLOAT, shape);
  for (int64_t i = 0; i < values.NumElements(); ++i) values.flat<float>()(i) = std::sin(step * static_cast<float>(i));
  return ops::Cast(s, ops::Const(s, tf::Input::Initializer(values)), type);
}

// A convolution with its bias, and all gradients.
tf::GraphDef convolution(tf::DataType type, int64_t channels, int64_t side = 3, int filters = 8) {
  Scope s = Scope::new_root();
  const tf::TensorShape in{2, 8, 8, channels}, filter{side, side, channels, filters};
  const auto x = waves(s, in, 0.25f, type), w = waves(s, filter, 0.5f, type), b = waves(s, {filters}, 0.3f, type),
             dy = waves(s, {2, 8, 8, filters}, 0.75f, type);
  const auto sizes = [&](const tf::TensorShape& shape) {
    return ops::Const(s, {static_cast<int>(shape.dim_size(0)), static_cast<int>(shape.dim_size(1)),
                          static_cast<int>(shape.dim_size(2)), static_cast<int>(shape.dim_size(3))});
  };
  const std::vector<int> strides{1, 1, 1, 1};
  const auto y = ops::BiasAdd(s, ops::Conv2D(s, x, w, strides, "SAME"), b);
  const auto dx = ops::Conv2DBackpropInput(s, sizes(in), w, dy, strides, "SAME");
  const auto dw = ops::Conv2DBackpropFilter(s, x, sizes(filter), dy, strides, "SAME");
  const auto db = ops::BiasAddGrad(s, dy);
  int i = 0;
  for (const tf::Output& result : {tf::Output(y), tf::Output(dx), tf::Output(dw), tf::Output(db)})
    ops::Cast(s.WithOpName(kResults[i++]), result, tf::DT_FLOAT);
  check(s, "test");
  tf::GraphDef graph;
  s.graph()->ToGraphDef(&graph);
  return graph;
}

std::vector<tf::Tensor> results_of(const tf::GraphDef& graph) {
  std::unique_ptr<tf::Session> session(tf::NewSession({}));
  TF_CHECK_OK(session->Create(graph));
  std::vector<tf::Tensor> out;
  TF_CHECK_OK(session->Run({}, kResults, {}, &out));
  return out;
}

TEST(NarrowConvolutions, AreAsExactAsBfloat16) {
  const auto exact = results_of(convolution(tf::DT_FLOAT, 4));
  tf::GraphDef graph = convolution(tf::DT_BFLOAT16, 4);
  EXPECT_EQ(widen_narrow_convolutions(&graph), 3);
  const auto found = results_of(graph);
  for (size_t which = 0; which < kResults.size(); ++which) {
    ASSERT_EQ(exact[which].shape(), found[which].shape());
    for (int64_t i = 0; i < exact[which].NumElements(); ++i) {
      const float wanted = exact[which].flat<float>()(i);
      // Inputs rounded to 8 bits, sums of up to 128 terms of at most 1.
      ASSERT_NEAR(wanted, found[which].flat<float>()(i), 0.2 + std::abs(wanted) / 64) << kResults[which] << " " << i;
    }
  }
  int computing = 0;
  for (const tf::NodeDef& node : graph.node())
    if (node.op() != "Cast" && node.attr().count("T") && node.op() != "Const") {
      EXPECT_EQ(node.attr().at("T").type(), tf::DT_FLOAT) << node.name();
      ++computing;
    }
  EXPECT_EQ(computing, 5);  // the bias and its gradient, too
}

TEST(NarrowConvolutions, OthersStay) {
  for (tf::GraphDef graph :
       {convolution(tf::DT_BFLOAT16, 64), convolution(tf::DT_BFLOAT16, 4, 1), convolution(tf::DT_FLOAT, 4)})
    EXPECT_EQ(widen_narrow_convolutions(&graph), 0);
}

TEST(NarrowConvolutions, AreWiderWithoutProductsOfBfloat16) {
  tf::GraphDef graph = convolution(tf::DT_BFLOAT16, 32);
  EXPECT_EQ(widen_narrow_convolutions(&graph), testing::has_pairs() ? 0 : 3);
}

// The gradient of the input is computed in float32, the others are not.
TEST(NarrowConvolutions, LeaveWhatBecomesFast) {
  if (!testing::has_pairs() || testing::has_matrices()) GTEST_SKIP() << "none does on this processor";
  tf::GraphDef graph = convolution(tf::DT_BFLOAT16, 4, 5, 16);
  EXPECT_EQ(widen_narrow_convolutions(&graph), 1);
  for (const tf::NodeDef& node : graph.node())
    if (node.op() == "Conv2DBackpropFilter" || node.op() == "Conv2D")
      EXPECT_EQ(node.attr().at("T").type(), tf::DT_BFLOAT16);
  const testing::Environment off("MOX_FAST_CONVOLUTIONS", "0");
  graph = convolution(tf::DT_BFLOAT16, 4, 5, 16);
  EXPECT_EQ(widen_narrow_convolutions(&graph), 3);
}

}  // namespace
}  // namespace mox
