// What passes/fast_pools.h gives away, and what stays.
#include "passes/fast_pools.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "graph/graph_session.h"
#include "graph/node_defs.h"
#include "moxing/moxing.h"
#include "passes/joined.h"
#include "passes/processor.h"
#include "tensorflow/cc/ops/nn_ops.h"
#include "tensorflow/cc/ops/nn_ops_internal.h"
#include "tensorflow/cc/ops/standard_ops.h"
#include "tensorflow/core/public/session.h"

namespace mox {
namespace {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;
using ops::internal::AvgPoolGrad;
using ops::internal::MaxPoolGrad;
using testing::Environment;
using tf::Output;

struct Layer {
  std::vector<int> window = {1, 3, 3, 1}, strides = {1, 2, 2, 1};
  std::string padding = "SAME";
  tf::DataType type = tf::DT_FLOAT;
  std::string format = "NHWC";
  bool relu_gradient = false;   // reads the gradient of the maximum
  bool other_reader = false;    // of that, too
  bool other_gradient = false;  // the maximum has one without a ReLU's
};

// "x", a ReLU's result, "max" with the gradient "max/dx" and perhaps "relu/dx", "avg" with "avg/dx".
tf::GraphDef pools(const Layer& layer) {
  const Scope s = Scope::new_root();
  const Output image = ops::Const(s, tf::Input::Initializer(random_tensor({2, 9, 12, 20}, 1)));
  const auto x = ops::Relu(s.WithOpName("x"), ops::Cast(s, image, layer.type));
  std::vector<int> pads;
  if (layer.padding == "EXPLICIT") pads = {0, 0, 1, 1, 1, 1, 0, 0};
  const auto max = ops::MaxPool(s.WithOpName("max"), x, layer.window, layer.strides, layer.padding,
                                ops::MaxPool::DataFormat(layer.format).ExplicitPaddings(pads));
  const auto dx = MaxPoolGrad(s.WithOpName("max/dx"), x, max, ops::Neg(s, max), layer.window, layer.strides,
                              layer.padding, MaxPoolGrad::DataFormat(layer.format).ExplicitPaddings(pads));
  std::vector<std::pair<std::string, Output>> results = {{"fetch/max", max}};
  if (layer.relu_gradient)
    results.emplace_back("fetch/relu/dx", ops::internal::ReluGrad(s.WithOpName("relu/dx"), dx, x));
  if (!layer.relu_gradient || layer.other_reader) results.emplace_back("fetch/max/dx", dx);
  if (layer.other_gradient)
    results.emplace_back("fetch/max/dx2",
                         MaxPoolGrad(s.WithOpName("max/dx2"), x, max, max, layer.window, layer.strides, layer.padding,
                                     MaxPoolGrad::DataFormat(layer.format).ExplicitPaddings(pads)));
  if (pads.empty()) {
    const auto avg = ops::AvgPool(s.WithOpName("avg"), x, layer.window, layer.strides, layer.padding,
                                  ops::AvgPool::DataFormat(layer.format));
    results.emplace_back("fetch/avg", avg);
    results.emplace_back("fetch/avg/dx",
                         AvgPoolGrad(s.WithOpName("avg/dx"), ops::Shape(s, x), avg, layer.window, layer.strides,
                                     layer.padding, AvgPoolGrad::DataFormat(layer.format)));
  }
  for (const auto& [name, result] : results) ops::Cast(s.WithOpName(name), result, tf::DT_FLOAT);
  check(s, "test");
  tf::GraphDef graph;
  s.graph()->ToGraphDef(&graph);
  return graph;
}

const tf::NodeDef& named(const tf::GraphDef& graph, const std::string& name) {
  for (const tf::NodeDef& node : graph.node())
    if (node.name() == name) return node;
  ADD_FAILURE() << "no node " << name;
  return graph.node(0);
}

std::vector<tf::Tensor> values(const tf::GraphDef& graph, const std::vector<std::string>& fetches) {
  const std::unique_ptr<tf::Session> session(tf::NewSession({}));
  TF_CHECK_OK(session->Create(graph));
  std::vector<tf::Tensor> results;
  TF_CHECK_OK(session->Run({}, fetches, {}, &results));
  return results;
}

// All that is fetched under a name of "fetch/".
void expect_same_numbers(const tf::GraphDef& before, const tf::GraphDef& after, bool is_float) {
  std::vector<std::string> fetches;
  for (const tf::NodeDef& node : before.node())
    if (node.name().rfind("fetch/", 0) == 0) fetches.push_back(node.name());
  const std::vector<tf::Tensor> expected = values(before, fetches), got = values(after, fetches);
  for (size_t i = 0; i < fetches.size(); ++i)
    EXPECT_LE(relative_difference(got[i], expected[i]), is_float ? 1e-6 : 1 / 60.0) << fetches[i];
}

TEST(FastPools, TakeTheirGradientsAlong) {
  for (const tf::DataType type : {tf::DT_FLOAT, tf::DT_BFLOAT16})
    for (const std::string padding : {"SAME", "VALID"}) {
      const tf::GraphDef before = pools({.padding = padding, .type = type});
      tf::GraphDef after = before;
      EXPECT_EQ(make_pools_fast(&after), 3);
      EXPECT_EQ(named(after, "max").op(), "MoxMaxPool");
      EXPECT_FALSE(named(after, "max").attr().at("positive").b());
      EXPECT_EQ(named(after, "max/dx").op(), "MoxMaxPoolGrad");
      EXPECT_EQ(named(after, "avg").op(), "AvgPool");
      EXPECT_EQ(named(after, "avg/dx").op(), "MoxAvgPoolGrad");
      // Fed, the maximum would have the gradients of what is not fed.
      EXPECT_EQ(joined_by(named(after, "max")), "MOX_FAST_POOLS");
      EXPECT_EQ(joined_by(named(after, "avg")), "");
      // What the gradient of the maximum reads of the image are its sizes.
      EXPECT_EQ(named(after, named(after, "max/dx").input(0)).op(), "Shape");
      expect_same_numbers(before, after, type == tf::DT_FLOAT);
      EXPECT_EQ(make_pools_fast(&after), 0);
    }
}

TEST(FastPools, TakeTheGradientOfAReluAlong) {
  for (const tf::DataType type : {tf::DT_FLOAT, tf::DT_BFLOAT16}) {
    const tf::GraphDef before = pools({.type = type, .relu_gradient = true});
    tf::GraphDef after = before;
    EXPECT_EQ(make_pools_fast(&after), 3);
    EXPECT_TRUE(named(after, "max").attr().at("positive").b());
    EXPECT_EQ(named(after, "relu/dx").op(), "MoxMaxPoolGrad");
    // Still there for who asks for it.
    EXPECT_EQ(named(after, "max/dx").op(), "MaxPoolGrad");
    EXPECT_EQ(joined_by(named(after, "max/dx")), "MOX_FAST_POOLS");
    expect_same_numbers(before, after, type == tf::DT_FLOAT);
    EXPECT_EQ(make_pools_fast(&after), 0);
  }
  for (const Layer& layer : std::vector<Layer>{{.relu_gradient = true, .other_reader = true},
                                               {.relu_gradient = true, .other_gradient = true}}) {
    const tf::GraphDef before = pools(layer);
    tf::GraphDef after = before;
    EXPECT_EQ(make_pools_fast(&after), layer.other_gradient ? 4 : 3);
    EXPECT_FALSE(named(after, "max").attr().at("positive").b());
    EXPECT_EQ(named(after, "relu/dx").op(), "ReluGrad");
    EXPECT_EQ(named(after, "max/dx").op(), "MoxMaxPoolGrad");
    expect_same_numbers(before, after, true);
  }
}

// Of another tensor than the pool's input.
TEST(FastPools, LeaveTheGradientOfAnotherRelu) {
  tf::GraphDef graph = pools({.relu_gradient = true});
  for (tf::NodeDef& node : *graph.mutable_node())
    if (node.name() == "relu/dx") node.set_input(1, "max/dx");
  EXPECT_EQ(make_pools_fast(&graph), 3);
  EXPECT_EQ(named(graph, "relu/dx").op(), "ReluGrad");
}

TEST(FastPools, OthersStay) {
  const std::vector<std::pair<const char*, Layer>> others = {
      {"over channels", {.window = {1, 1, 1, 2}, .strides = {1, 1, 1, 2}}},
      {"NCHW", {.window = {1, 1, 3, 3}, .strides = {1, 1, 2, 2}, .format = "NCHW"}},
      {"EXPLICIT", {.padding = "EXPLICIT"}},
      {"float16", {.type = tf::DT_HALF}}};
  for (const auto& [name, layer] : others) {
    tf::GraphDef graph = pools(layer);
    const std::string before = graph.SerializeAsString();
    EXPECT_EQ(make_pools_fast(&graph), 0) << name;
    EXPECT_EQ(graph.SerializeAsString(), before) << name;
  }
  // The places of such a window are no bytes.
  tf::GraphDef large = pools({.window = {1, 16, 16, 1}});
  EXPECT_EQ(make_pools_fast(&large), 1);
  EXPECT_EQ(named(large, "max").op(), "MaxPool");
  EXPECT_EQ(named(large, "max/dx").op(), "MaxPoolGrad");
  // A gradient of another pool.
  tf::GraphDef other = pools({});
  for (tf::NodeDef& node : *other.mutable_node())
    if (node.name() == "max/dx") node.mutable_attr()->at("padding").set_s("VALID");
  EXPECT_EQ(make_pools_fast(&other), 1);
  EXPECT_EQ(named(other, "max").op(), "MaxPool");
}

// In place of the joined nodes the result waits for what they waited for.
TEST(FastPools, WaitForWhatTheyWaitedFor) {
  tf::GraphDef graph = pools({.relu_gradient = true});
  for (const std::string name : {"one", "two", "three"}) NodeMaker(&graph, name, "NoOp");
  for (tf::NodeDef& node : *graph.mutable_node()) {
    if (node.name() == "max") node.add_input("^one");
    if (node.name() == "max/dx") node.add_input("^two");
    if (node.name() == "relu/dx") node.add_input("^three");
  }
  EXPECT_EQ(make_pools_fast(&graph), 3);
  EXPECT_EQ(named(graph, "max").input(1), "^one");
  const tf::NodeDef& joined = named(graph, "relu/dx");
  ASSERT_EQ(joined.input_size(), 5);
  EXPECT_EQ(joined.input(3), "^three");
  EXPECT_EQ(joined.input(4), "^two");
}

// oneDNN's is as fast.
TEST(FastPools, LeaveWhatHasNoGradient) {
  const Scope s = Scope::new_root();
  const auto x = ops::Const(s, tf::Input::Initializer(random_tensor({2, 9, 12, 20}, 1)));
  const auto max = ops::MaxPool(s, x, {1, 3, 3, 1}, {1, 2, 2, 1}, "SAME");
  ops::AvgPool(s, max, {1, 3, 3, 1}, {1, 2, 2, 1}, "SAME");
  tf::GraphDef graph;
  s.graph()->ToGraphDef(&graph);
  EXPECT_EQ(make_pools_fast(&graph), 0);
}

TEST(FastPools, StayWhereTheEnvironmentSaysSo) {
  const Environment off("MOX_FAST_POOLS", "0");
  tf::GraphDef graph = pools({});
  const std::string before = graph.SerializeAsString();
  EXPECT_EQ(make_pools_fast(&graph), 0);
  EXPECT_EQ(graph.SerializeAsString(), before);
}

}  // namespace
}  // namespace mox
