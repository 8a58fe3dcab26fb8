// What follows a convolution and is computed with it.
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "passes/constant_filters.h"
#include "passes/convolution_layers.h"
#include "passes/fast_convolutions.h"

namespace mox {
namespace {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;
using tf::Output;

using testing::convolution;
using testing::count_of;
using testing::FastConvolutions;
using testing::has_matrices;
using testing::has_pairs;
using testing::inputs_of;
using testing::node_of;

// x, a convolution of it, a bias and an activation: "conv", "bias", "relu". `more` adds readers.
tf::GraphDef followed(const std::string& activation,
                      const std::function<void(const Scope&, Output conv, Output bias, Output relu)>& more = {},
                      const std::string& bias_format = "NHWC", int64_t filters = 32) {
  const Scope s = Scope::new_root();
  const Output x = ops::Const(s.WithOpName("x"), tf::Input::Initializer(random_tensor({2, 16, 12, 16}, 1)));
  const Output w = s.get_variable("w", {3, 3, 16, filters}),
               b = s.get_variable("b", {filters}, {.initializer = constant_initializer(0.25f)});
  const auto conv = ops::Conv2D(s.WithOpName("conv"), x, w, {1, 1, 1, 1}, "SAME");
  const auto bias = ops::BiasAdd(s.WithOpName("bias"), conv, b, ops::BiasAdd::DataFormat(bias_format));
  const auto last = s.WithOpName("relu");
  Output relu;
  if (activation == "Relu") relu = ops::Relu(last, bias);
  if (activation == "Relu6") relu = ops::Relu6(last, bias);
  if (activation == "Elu") relu = ops::Elu(last, bias);
  ops::Identity(s.WithOpName("y"), relu);
  if (more) more(s, conv, bias, relu);
  check(s, "test");
  tf::GraphDef graph;
  s.graph()->ToGraphDef(&graph);
  return graph;
}

// `fetches` of both graphs, with the same variables, are the same.
void expect_same_numbers(const tf::GraphDef& before, const tf::GraphDef& after,
                         const std::vector<std::string>& fetches) {
  std::vector<tf::Tensor> variables, results[2];
  for (const tf::GraphDef* graph : {&before, &after}) {
    const std::unique_ptr<tf::Session> session(tf::NewSession({}));
    TF_CHECK_OK(session->Create(*graph));
    TF_CHECK_OK(session->Run({}, {}, {"w/Assign", "b/Assign"}, nullptr));
    if (variables.empty()) TF_CHECK_OK(session->Run({}, {"w/read", "b/read"}, {}, &variables));
    TF_CHECK_OK(
        session->Run({{"w/read", variables[0]}, {"b/read", variables[1]}}, fetches, {}, &results[graph == &after]));
  }
  for (size_t i = 0; i < fetches.size(); ++i)
    EXPECT_LE(relative_difference(results[1][i], results[0][i]), 1e-5) << fetches[i];
}

TEST_F(FastConvolutions, TakeABiasAndAReluAlong) {
  for (const std::string activation : {"Relu", "Relu6", "Elu"}) {
    const tf::GraphDef before = followed(activation);
    tf::GraphDef after = before;
    EXPECT_EQ(make_convolutions_fast(&after), 1);
    const tf::NodeDef& last = node_of(after, activation == "Elu" ? "bias" : "relu");
    EXPECT_EQ(last.op(), "MoxConvolution") << activation;
    EXPECT_EQ(last.attr().at("activation").s(), activation == "Elu" ? "" : activation);
    EXPECT_EQ(last.attr().at("num_bias").i(), 1);
    EXPECT_EQ(count_of(after, "MoxConvolution"), 1);
    // What lies between is still there for who asks for it.
    expect_same_numbers(before, after, {"y", "relu", "bias", "conv"});
    expect_same_numbers(before, after, {"y"});
  }
}

// A gradient of a filter in bfloat16 that is cast: "dw" is the cast.
tf::GraphDef cast_gradient(tf::DataType to, const std::string& device = "") {
  tf::GraphDef graph = convolution({.type = tf::DT_BFLOAT16});
  for (tf::NodeDef& node : *graph.mutable_node()) {
    if (node.name() != "dw") continue;
    const std::string input = node.input(0);
    node.Clear();
    node.set_name("dw");
    node.set_op("Cast");
    node.set_device(device);
    node.add_input(input);
    tf::SetAttrValue(tf::DT_BFLOAT16, &(*node.mutable_attr())["SrcT"]);
    tf::SetAttrValue(to, &(*node.mutable_attr())["DstT"]);
  }
  return graph;
}

tf::Tensor gradient_of(const tf::GraphDef& graph) {
  const std::unique_ptr<tf::Session> session(tf::NewSession({}));
  std::vector<tf::Tensor> dw;
  TF_CHECK_OK(session->Create(graph));
  TF_CHECK_OK(session->Run({{"w/read", random_tensor({3, 3, 16, 32}, 5)}}, {"dw"}, {}, &dw));
  return dw[0];
}

TEST_F(FastConvolutions, TakeTheCastOfAFiltersGradientAlong) {
  if (has_matrices()) GTEST_SKIP() << "oneDNN's are faster here";
  tf::GraphDef before = cast_gradient(tf::DT_FLOAT), graph = before;
  const std::string gradient = node_of(graph, "dw").input(0);
  EXPECT_EQ(make_convolutions_fast(&graph), 1);
  const tf::NodeDef& node = node_of(graph, "dw");
  EXPECT_EQ(node.op(), "MoxConvolutionFilterGradient");
  EXPECT_EQ(node.attr().at("T").type(), tf::DT_BFLOAT16);
  EXPECT_EQ(node.attr().at("Tdfilter").type(), tf::DT_FLOAT);
  EXPECT_EQ(node_of(graph, gradient).op(), "Conv2DBackpropFilter");  // for who asks for it
  // Nearer than a number of bfloat16 is, but not the same: it was not rounded.
  const tf::Tensor with = gradient_of(graph), without = gradient_of(before);
  EXPECT_LE(relative_difference(with, without), 1 / 200.0);
  EXPECT_NE(with.tensor_data(), without.tensor_data());
}

TEST_F(FastConvolutions, LeaveOtherCastsOfAFiltersGradient) {
  if (has_matrices()) GTEST_SKIP() << "oneDNN's are faster here";
  tf::GraphDef twice = cast_gradient(tf::DT_FLOAT);
  NodeMaker(&twice, "other", "Identity").input(node_of(twice, "dw").input(0)).attr("T", tf::DT_BFLOAT16);
  for (tf::GraphDef graph : {twice, cast_gradient(tf::DT_DOUBLE), cast_gradient(tf::DT_FLOAT, "/job:ps/cpu:0")}) {
    const std::string gradient = node_of(graph, "dw").input(0);
    EXPECT_EQ(make_convolutions_fast(&graph), 1);
    EXPECT_EQ(node_of(graph, "dw").op(), "Cast");
    EXPECT_EQ(node_of(graph, gradient).op(), "MoxConvolutionFilterGradient");
    EXPECT_EQ(node_of(graph, gradient).attr().at("Tdfilter").type(), tf::DT_BFLOAT16);
  }
}

// Convolutions of a step that keep their filter.
int kept_filters(tf::Session* session, const GraphSession::Feeds& feeds) {
  tf::RunOptions options;
  options.set_output_partition_graphs(true);
  tf::RunMetadata metadata;
  std::vector<tf::Tensor> outputs;
  TF_CHECK_OK(session->Run(options, feeds, {"y"}, {}, &outputs, &metadata));
  int kept = 0;
  for (const tf::GraphDef& graph : metadata.partition_graphs())
    for (const tf::NodeDef& node : graph.node())
      kept += node.op() == "MoxConvolution" && node.attr().at("is_filter_const").b();
  return kept;
}

// In the session of an evaluation, but not in a step that feeds the filter, nor where something writes it.
TEST_F(FastConvolutions, KeepAConstantFilter) {
  for (const bool is_written : {false, true}) {
    BuiltGraph built;
    built.mode = ModeKeys::PREDICT;
    built.graph = followed("Relu");
    for (const char* name : {"w", "b"})
      built.variables.push_back({name, name, std::string(name) + "/Assign", tf::DT_FLOAT,
                                 name[0] == 'w' ? tf::TensorShape{3, 3, 16, 32} : tf::TensorShape{32}});
    if (is_written)
      NodeMaker(&built.graph, "write", "AssignAddVariableOp").input("w").input("w/read").attr("dtype", tf::DT_FLOAT);
    mark_constant_filters(&built);
    EXPECT_EQ(make_convolutions_fast(&built.graph), 1);
    const std::unique_ptr<tf::Session> session(tf::NewSession({}));
    TF_CHECK_OK(session->Create(built.graph));
    TF_CHECK_OK(session->Run({}, {}, {"w/Assign", "b/Assign"}, nullptr));
    EXPECT_EQ(kept_filters(session.get(), {}), is_written ? 0 : 1);
    EXPECT_EQ(kept_filters(session.get(), {{"w/read", random_tensor({3, 3, 16, 32}, 5)}}), 0);
  }
}

TEST_F(FastConvolutions, TakeNothingAlongThatOthersRead) {
  // Of the convolution; of the bias; a second bias; a reader of the sum as another input than its first.
  tf::GraphDef read = followed("Relu", [](const Scope&s, Output conv, Output, Output) { ops::Neg(s, conv); }),
               after = read;
  EXPECT_EQ(make_convolutions_fast(&after), 1);
  EXPECT_EQ(node_of(after, "conv").op(), "MoxConvolution");
  EXPECT_EQ(node_of(after, "conv").attr().at("num_bias").i(), 0);
  EXPECT_EQ(node_of(after, "bias").op(), "BiasAdd");
  expect_same_numbers(read, after, {"y", "conv"});

  read = after = followed("Relu", [](const Scope& s, Output, Output bias, Output) { ops::Neg(s, bias); });
  EXPECT_EQ(make_convolutions_fast(&after), 1);
  EXPECT_EQ(node_of(after, "bias").op(), "MoxConvolution");
  EXPECT_EQ(node_of(after, "bias").attr().at("activation").s(), "");
  EXPECT_EQ(node_of(after, "relu").op(), "Relu");
  expect_same_numbers(read, after, {"y", "bias"});
}

// A bias along the rows, as many as there are filters.
TEST_F(FastConvolutions, LeaveABiasOfAnotherDimension) {
  const tf::GraphDef before = followed("Relu", {}, "NCHW", 16);
  tf::GraphDef after = before;
  EXPECT_EQ(make_convolutions_fast(&after), 1);
  EXPECT_EQ(node_of(after, "conv").op(), "MoxConvolution");
  EXPECT_EQ(node_of(after, "bias").op(), "BiasAdd");
  EXPECT_EQ(node_of(after, "relu").op(), "Relu");
  expect_same_numbers(before, after, {"y"});
}

TEST_F(FastConvolutions, KeepControlInputs) {
  for (const bool shared : {false, true}) {
    tf::GraphDef graph = followed("Relu", [&](const Scope& s, Output conv, Output, Output) {
      if (shared) ops::Neg(s, conv);
    });
    for (const char* name : {"conv", "bias", "relu"}) {
      tf::NodeDef* wait = graph.add_node();
      wait->set_name(std::string("before_") + name);
      wait->set_op("NoOp");
      for (tf::NodeDef& node : *graph.mutable_node())
        if (node.name() == name) node.add_input("^before_" + std::string(name));
    }
    EXPECT_EQ(make_convolutions_fast(&graph), 1);
    if (shared) {
      EXPECT_EQ(inputs_of(graph, "conv"), (std::set<std::string>{"x", "w/read", "^before_conv"}));
      EXPECT_TRUE(inputs_of(graph, "bias").count("^before_bias"));
    } else {
      EXPECT_EQ(inputs_of(graph, "relu"),
                (std::set<std::string>{"x", "w/read", "b/read", "^before_conv", "^before_bias", "^before_relu"}));
    }
    const std::unique_ptr<tf::Session> session(tf::NewSession({}));
    TF_CHECK_OK(session->Create(graph));
    TF_CHECK_OK(session->Run({}, {}, {"w/Assign", "b/Assign"}, nullptr));
    std::vector<tf::Tensor> y;
    TF_CHECK_OK(session->Run({}, {"y"}, {}, &y));
  }
}

}  // namespace
}  // namespace mox
