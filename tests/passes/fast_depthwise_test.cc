// What passes/fast_convolutions.h does with depthwise convolutions.
#include <gtest/gtest.h>

#include <algorithm>

#include "graph/graph_session.h"
#include "graph/node_defs.h"
#include "moxing/moxing.h"
#include "passes/depthwise_precision.h"
#include "passes/fast_convolutions.h"
#include "passes/processor.h"
#include "tensorflow/cc/ops/standard_ops.h"
#include "tensorflow/core/public/session.h"

namespace mox {
namespace {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;
using testing::Environment;
using tf::Output;

class FastDepthwise : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::has_vectors()) GTEST_SKIP() << "this processor has no AVX2";
  }
};

struct Layer {
  std::vector<int64_t> filter = {3, 3, 24, 1};
  int stride = 1;
  std::string padding = "SAME";
  tf::DataType type = tf::DT_FLOAT;
  int width_stride = 0;  // another one
  int dilation = 1;
  std::string format = "NHWC";
  bool known_filter = true;
};

// "conv" of "x" with the variable "w", its gradients "dx" and "dw". The graph is not run where it is none of NHWC.
tf::GraphDef depthwise(const Layer& layer) {
  const Scope s = Scope::new_root();
  const bool nhwc = layer.format == "NHWC";
  const int64_t channels = layer.filter[2];
  const tf::TensorShape shape = nhwc ? tf::TensorShape{2, 9, 12, channels} : tf::TensorShape{2, channels, 9, 12};
  const auto x =
      ops::Cast(s.WithOpName("x"), ops::Const(s, tf::Input::Initializer(random_tensor(shape, 1))), layer.type);
  const Output w32 = layer.known_filter ? s.get_variable("w", tf::TensorShape(layer.filter))
                                        : Output(ops::Placeholder(s.WithOpName("w"), tf::DT_FLOAT));
  const auto w = ops::Cast(s.WithOpName("w/T"), w32, layer.type);
  const int across = layer.width_stride ? layer.width_stride : layer.stride, d = layer.dilation;
  const std::vector<int> strides =
      nhwc ? std::vector<int>{1, layer.stride, across, 1} : std::vector<int>{1, 1, layer.stride, across};
  const std::vector<int> dilations = nhwc ? std::vector<int>{1, d, d, 1} : std::vector<int>{1, 1, d, d};
  const std::vector<int> pads =
      layer.padding == "EXPLICIT" ? std::vector<int>{0, 0, 1, 1, 1, 1, 0, 0} : std::vector<int>{};
  using Forward = ops::DepthwiseConv2dNative;
  using InputGradient = ops::DepthwiseConv2dNativeBackpropInput;
  using FilterGradient = ops::DepthwiseConv2dNativeBackpropFilter;
  const auto y = Forward(s.WithOpName("conv"), x, w, strides, layer.padding,
                         Forward::Dilations(dilations).DataFormat(layer.format).ExplicitPaddings(pads));
  const auto dx = InputGradient(s.WithOpName("conv/dx"), ops::Shape(s, x), w, y, strides, layer.padding,
                                InputGradient::Dilations(dilations).DataFormat(layer.format).ExplicitPaddings(pads));
  const auto dw = FilterGradient(s.WithOpName("conv/dw"), x, ops::Shape(s, w), y, strides, layer.padding,
                                 FilterGradient::Dilations(dilations).DataFormat(layer.format).ExplicitPaddings(pads));
  ops::Cast(s.WithOpName("y"), y, tf::DT_FLOAT);
  ops::Cast(s.WithOpName("dx"), dx, tf::DT_FLOAT);
  ops::Cast(s.WithOpName("dw"), dw, tf::DT_FLOAT);
  check(s, "test");
  tf::GraphDef graph;
  s.graph()->ToGraphDef(&graph);
  return graph;
}

int64_t count_of(const tf::GraphDef& graph, const std::string& prefix) {
  return std::count_if(graph.node().begin(), graph.node().end(),
                       [&](const tf::NodeDef& node) { return node.op().rfind(prefix, 0) == 0; });
}

const tf::NodeDef& node_of(const tf::GraphDef& graph, const std::string& name) {
  for (const tf::NodeDef& node : graph.node())
    if (node.name() == name) return node;
  ADD_FAILURE() << "no node " << name;
  return graph.node(0);
}

// `fetches` of both graphs, with the same variables, are the same.
void expect_same_numbers(const tf::GraphDef& before, const tf::GraphDef& after, const std::vector<std::string>& fetches,
                         double tolerance) {
  std::vector<std::string> initializers;
  for (const tf::NodeDef& node : before.node())
    if (node.op() == "AssignVariableOp") initializers.push_back(node.name());
  std::vector<tf::Tensor> variable, results[2];
  for (const tf::GraphDef* graph : {&before, &after}) {
    const std::unique_ptr<tf::Session> session(tf::NewSession({}));
    TF_CHECK_OK(session->Create(*graph));
    TF_CHECK_OK(session->Run({}, {}, initializers, nullptr));
    if (variable.empty()) TF_CHECK_OK(session->Run({}, {"w/read"}, {}, &variable));
    TF_CHECK_OK(session->Run({{"w/read", variable[0]}}, fetches, {}, &results[graph == &after]));
  }
  for (size_t i = 0; i < fetches.size(); ++i)
    EXPECT_LE(relative_difference(results[1][i], results[0][i]), tolerance) << fetches[i];
}

TEST_F(FastDepthwise, TakeTheirGradientsAlong) {
  for (const tf::DataType type : {tf::DT_FLOAT, tf::DT_BFLOAT16})
    for (const Layer& layer :
         std::vector<Layer>{{}, {{3, 3, 11, 1}, 2}, {{5, 5, 44, 1}, 2, "VALID"}, {{7, 7, 16, 1}, 1, "VALID"}}) {
      Layer typed = layer;
      typed.type = type;
      const tf::GraphDef before = depthwise(typed);
      tf::GraphDef after = before;
      EXPECT_EQ(make_convolutions_fast(&after), 3);
      EXPECT_EQ(count_of(after, "DepthwiseConv2dNative"), 0);
      EXPECT_EQ(node_of(after, "conv").op(), "MoxDepthwiseConvolution");
      EXPECT_EQ(node_of(after, "conv/dx").op(), "MoxDepthwiseConvolutionInputGradient");
      EXPECT_EQ(node_of(after, "conv/dw").op(), "MoxDepthwiseConvolutionFilterGradient");
      for (const char* name : {"conv", "conv/dx", "conv/dw"}) {
        EXPECT_EQ(node_of(after, name).attr().at("stride").i(), layer.stride);
        EXPECT_EQ(node_of(after, name).attr().at("padding").s(), layer.padding);
        EXPECT_EQ(node_of(after, name).attr().at("T").type(), type);
      }
      // Sums of bfloat16 numbers that oneDNN rounds as it goes.
      expect_same_numbers(before, after, {"y", "dx", "dw"}, type == tf::DT_FLOAT ? 1e-5 : 1 / 50.0);
      EXPECT_EQ(make_convolutions_fast(&after), 0);
    }
}

TEST_F(FastDepthwise, OthersStay) {
  const std::vector<std::pair<const char*, Layer>> others = {{"two filters a channel", {{3, 3, 24, 2}}},
                                                             {"3x5", {{3, 5, 24, 1}}},
                                                             {"1x1", {{1, 1, 24, 1}}},
                                                             {"9x9", {{9, 9, 24, 1}}},
                                                             {"stride 3", {.stride = 3}},
                                                             {"two strides", {.stride = 2, .width_stride = 1}},
                                                             {"dilated", {.dilation = 2}},
                                                             {"NCHW", {.format = "NCHW"}},
                                                             {"EXPLICIT", {.padding = "EXPLICIT"}},
                                                             {"float16", {.type = tf::DT_HALF}},
                                                             {"float64", {.type = tf::DT_DOUBLE}},
                                                             {"a filter of any size", {.known_filter = false}}};
  for (const auto& [name, layer] : others) {
    tf::GraphDef graph = depthwise(layer);
    const std::string before = graph.SerializeAsString();
    EXPECT_EQ(make_convolutions_fast(&graph), 0) << name;
    EXPECT_EQ(graph.SerializeAsString(), before) << name;
  }
}

TEST_F(FastDepthwise, StayWhereTheEnvironmentSaysSo) {
  const Environment off("MOX_FAST_CONVOLUTIONS", "0");
  tf::GraphDef graph = depthwise({});
  EXPECT_EQ(make_convolutions_fast(&graph), 0);
  EXPECT_EQ(count_of(graph, "Mox"), 0);
}

// Gradients in bfloat16 with a stride are not widened before they are given away.
TEST_F(FastDepthwise, AreNotWidened) {
  const Layer layer{.stride = 2, .type = tf::DT_BFLOAT16};
  tf::GraphDef graph = depthwise(layer);
  EXPECT_EQ(widen_depthwise_gradients(&graph), 0);
  EXPECT_EQ(make_convolutions_fast(&graph), 3);
  const Environment off("MOX_FAST_CONVOLUTIONS", "0");
  graph = depthwise(layer);
  EXPECT_EQ(widen_depthwise_gradients(&graph), 2);
}

TEST_F(FastDepthwise, TakeABiasAndAReluAlong) {
  for (const std::string activation : {"Relu", "Relu6", "Elu"}) {
    const Scope s = Scope::new_root();
    const auto x = ops::Const(s.WithOpName("x"), tf::Input::Initializer(random_tensor({2, 16, 12, 24}, 1)));
    const Output w = s.get_variable("w", {3, 3, 24, 1}),
                 b = s.get_variable("b", {24}, {.initializer = constant_initializer(0.25f)});
    const auto conv = ops::DepthwiseConv2dNative(s.WithOpName("conv"), x, w, {1, 1, 1, 1}, "SAME");
    const auto bias = ops::BiasAdd(s.WithOpName("bias"), conv, b);
    const auto last = s.WithOpName("last");
    const Output y = activation == "Relu"    ? Output(ops::Relu(last, bias))
                     : activation == "Relu6" ? Output(ops::Relu6(last, bias))
                                             : Output(ops::Elu(last, bias));
    ops::Identity(s.WithOpName("y"), y);
    check(s, "test");
    tf::GraphDef before;
    s.graph()->ToGraphDef(&before);
    tf::GraphDef after = before;
    EXPECT_EQ(make_convolutions_fast(&after), 1);
    const tf::NodeDef& joined = node_of(after, activation == "Elu" ? "bias" : "last");
    EXPECT_EQ(joined.op(), "MoxDepthwiseConvolution") << activation;
    EXPECT_EQ(joined.attr().at("activation").s(), activation == "Elu" ? "" : activation);
    EXPECT_EQ(joined.attr().at("num_bias").i(), 1);
    EXPECT_EQ(count_of(after, "MoxDepthwise"), 1);
    // What lies between is still there for who asks for it.
    expect_same_numbers(before, after, {"y", "last", "bias", "conv"}, 1e-5);
  }
}

}  // namespace
}  // namespace mox
