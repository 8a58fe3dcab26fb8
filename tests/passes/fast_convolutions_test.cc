#include "passes/fast_convolutions.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "graph/graph_session.h"
#include "graph/node_defs.h"
#include "moxing/moxing.h"
#include "passes/constant_filters.h"
#include "passes/processor.h"
#include "tensorflow/cc/framework/gradients.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace mox {
namespace {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;
using tf::Output;

using testing::Environment;
using testing::has_matrices;
using testing::has_pairs;
using testing::has_vectors;

class FastConvolutions : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!has_vectors()) GTEST_SKIP() << "this processor has no AVX2";
  }
};

struct Layer {
  std::vector<int64_t> filter = {3, 3, 16, 32};
  int stride = 1;
  std::string padding = "SAME";
  tf::DataType type = tf::DT_FLOAT;
  int width_stride = 0;  // another one
  int dilation = 1;
  std::string format = "NHWC";
  bool known_filter = true;
  int64_t groups = 1;  // the image has so many times the filter's channels, as TensorFlow's own groups have it
};

// "conv" of "x" with the variable "w", its gradients "dx" and "dw".
tf::GraphDef convolution(const Layer& layer) {
  const Scope s = Scope::new_root();
  const bool nhwc = layer.format == "NHWC";
  const int64_t channels = layer.filter[2] * layer.groups;
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
  const auto y = ops::Conv2D(s.WithOpName("conv"), x, w, strides, layer.padding,
                             ops::Conv2D::Dilations(dilations).DataFormat(layer.format).ExplicitPaddings(pads));
  std::vector<Output> gradients;
  TF_CHECK_OK(tf::AddSymbolicGradients(s, {ops::Mul(s, y, y)}, {x, w}, &gradients));
  ops::Identity(s.WithOpName("dx"), gradients[0]);
  ops::Identity(s.WithOpName("dw"), gradients[1]);
  check(s, "test");
  tf::GraphDef graph;
  s.graph()->ToGraphDef(&graph);
  for (tf::NodeDef& node : *graph.mutable_node())  // TensorFlow's C++ gradients forget it
    if (node.op().rfind("Conv2DBackprop", 0) == 0) {
      tf::SetAttrValue(std::vector<int64_t>{1, d, d, 1}, &(*node.mutable_attr())["dilations"]);
      tf::SetAttrValue(pads, &(*node.mutable_attr())["explicit_paddings"]);
    }
  return graph;
}

int count_of(const tf::GraphDef& graph, const std::string& prefix) {
  return static_cast<int>(std::count_if(graph.node().begin(), graph.node().end(),
                                        [&](const tf::NodeDef& node) { return node.op().rfind(prefix, 0) == 0; }));
}

const tf::NodeDef& node_of(const tf::GraphDef& graph, const std::string& name) {
  for (const tf::NodeDef& node : graph.node())
    if (node.name() == name) return node;
  ADD_FAILURE() << "no node " << name;
  return graph.node(0);
}

std::set<std::string> inputs_of(const tf::GraphDef& graph, const std::string& name) {
  const auto& inputs = node_of(graph, name).input();
  return {inputs.begin(), inputs.end()};
}

TEST_F(FastConvolutions, TakeTheirGradientsAlong) {
  for (const Layer& layer : std::vector<Layer>{{}, {{3, 3, 272, 48}, 1, "VALID"}}) {
    tf::GraphDef graph = convolution(layer);
    EXPECT_EQ(make_convolutions_fast(&graph), 3);
    EXPECT_EQ(count_of(graph, "Conv2D"), 0);
    EXPECT_EQ(count_of(graph, "MoxConvolution"), 3);
    const tf::NodeDef& node = node_of(graph, "conv");
    EXPECT_EQ(node.op(), "MoxConvolution");
    EXPECT_EQ(node.attr().at("stride").i(), layer.stride);
    EXPECT_EQ(node.attr().at("padding").s(), layer.padding);
    EXPECT_EQ(make_convolutions_fast(&graph), 0);
  }
}

TEST_F(FastConvolutions, AreOftenTheFiltersGradientAlone) {
  for (const Layer& layer :
       std::vector<Layer>{{{3, 3, 15, 32}, 2}, {{5, 5, 17, 16}}, {{3, 1, 16, 16}}, {{1, 7, 3, 64}}, {{7, 7, 3, 64}, 3}})
    for (const tf::DataType type : {tf::DT_FLOAT, tf::DT_BFLOAT16}) {
      Layer typed = layer;
      typed.type = type;
      tf::GraphDef graph = convolution(typed);
      const int wanted = type == tf::DT_FLOAT || (has_pairs() && !has_matrices());
      EXPECT_EQ(make_convolutions_fast(&graph), wanted);
      EXPECT_EQ(count_of(graph, "MoxConvolutionFilterGradient"), wanted);
      EXPECT_EQ(count_of(graph, "Conv2DBackpropFilter"), 1 - wanted);
      for (const tf::NodeDef& node : graph.node())
        if (node.op() == "MoxConvolutionFilterGradient") EXPECT_EQ(node.attr().at("stride").i(), layer.stride);
    }
  tf::GraphDef graph = convolution({.type = tf::DT_BFLOAT16});
  EXPECT_EQ(make_convolutions_fast(&graph), has_matrices() ? 0 : 1);
  EXPECT_EQ(count_of(graph, "MoxConvolutionFilterGradient"), has_matrices() ? 0 : 1);
}

// Of 16 channels and filters on; in bfloat16 an odd number of filters has no pairs.
TEST_F(FastConvolutions, AreBothGradientsWithAStride) {
  for (const auto& [layer, in_bfloat16] : std::vector<std::pair<Layer, int>>{
           {{{3, 3, 16, 16}, 2}, 2}, {{{5, 3, 17, 32}, 3, "VALID"}, 2}, {{{2, 2, 64, 21}, 2}, 1}})
    for (const tf::DataType type : {tf::DT_FLOAT, tf::DT_BFLOAT16}) {
      Layer typed = layer;
      typed.type = type;
      tf::GraphDef graph = convolution(typed);
      const int wanted = type == tf::DT_FLOAT ? 2 : has_pairs() && !has_matrices() ? in_bfloat16 : 0;
      EXPECT_EQ(make_convolutions_fast(&graph), wanted);
      EXPECT_EQ(count_of(graph, "MoxConvolutionFilterGradient"), wanted > 0);
      EXPECT_EQ(count_of(graph, "MoxConvolutionInputGradient"), wanted > 1);
      EXPECT_EQ(node_of(graph, "conv").op(), "Conv2D");
    }
}

TEST_F(FastConvolutions, PadAsTheyAreTold) {
  const Layer layer{.filter = {3, 3, 16, 32}, .padding = "EXPLICIT"};
  tf::GraphDef graph = convolution(layer);
  EXPECT_EQ(make_convolutions_fast(&graph), 3);
  for (const tf::NodeDef& node : graph.node())
    if (node.op().rfind("MoxConvolution", 0) == 0) {
      EXPECT_EQ(node.attr().at("padding").s(), "EXPLICIT");
      const auto& paddings = node.attr().at("explicit_paddings").list().i();
      EXPECT_EQ((std::vector<int64_t>(paddings.begin(), paddings.end())),
                (std::vector<int64_t>{0, 0, 1, 1, 1, 1, 0, 0}));
    }
}

// 1x1: the convolution from 16 channels and filters on, its input's gradient, the filter's as of other
// sizes. In bfloat16 with pairs, of channels or of filters: an odd number has none.
TEST_F(FastConvolutions, TakeThoseOfOnePixel) {
  struct Wanted {
    Layer layer;
    std::set<std::string> in_float32, in_bfloat16;
  };
  const std::string forward = "MoxConvolution", dx = "MoxConvolutionInputGradient", dw = "MoxConvolutionFilterGradient";
  for (const Wanted& wanted : std::vector<Wanted>{{{{1, 1, 16, 32}}, {forward, dx, dw}, {forward, dx, dw}},
                                                  {{{1, 1, 16, 32}, 2}, {forward, dx, dw}, {forward, dx, dw}},
                                                  {{{1, 1, 19, 16}, 2, "VALID"}, {forward, dx, dw}, {dx, dw}},
                                                  {{{1, 1, 19, 24}}, {forward, dx, dw}, {dx, dw}},
                                                  {{{1, 1, 16, 19}}, {forward, dx}, {forward}},
                                                  {{{1, 1, 17, 19}}, {forward, dx}, {}}})
    for (const tf::DataType type : {tf::DT_FLOAT, tf::DT_BFLOAT16}) {
      Layer layer = wanted.layer;
      layer.type = type;
      tf::GraphDef graph = convolution(layer);
      const int count = make_convolutions_fast(&graph);
      std::multiset<std::string> found;
      for (const tf::NodeDef& node : graph.node())
        if (node.op().rfind("MoxConvolution", 0) == 0) {
          found.insert(node.op());
          EXPECT_EQ(node.attr().at("stride").i(), layer.stride);
        }
      const auto& all = type == tf::DT_FLOAT             ? wanted.in_float32
                        : has_pairs() && !has_matrices() ? wanted.in_bfloat16
                                                         : std::set<std::string>{};
      EXPECT_EQ(found, (std::multiset<std::string>(all.begin(), all.end())))
          << layer.filter[2] << " to " << layer.filter[3] << ", stride " << layer.stride << " in "
          << tf::DataTypeString(type);
      EXPECT_EQ(count, static_cast<int>(all.size()));
    }
}

TEST_F(FastConvolutions, OthersStay) {
  const std::vector<std::pair<const char*, Layer>> others = {
      {"3 channels", {{3, 3, 3, 32}}},
      {"15 channels", {{7, 1, 15, 32}}},
      {"19 filters", {{3, 3, 16, 19}}},
      {"1x1, 15 channels", {{1, 1, 15, 32}}},
      {"1x1, 15 filters", {{1, 1, 16, 15}}},
      {"3x3, two strides", {.width_stride = 2}},
      {"1x1, two strides", {.filter = {1, 1, 16, 16}, .width_stride = 2}},
      {"dilated", {.dilation = 2}},
      {"in groups", {.groups = 2}},
      {"1x1 in groups", {.filter = {1, 1, 16, 32}, .groups = 4}},
      {"NCHW", {.format = "NCHW"}},
      {"padded by more than the filter", {.filter = {1, 1, 16, 32}, .padding = "EXPLICIT"}},
      {"float16", {.type = tf::DT_HALF}},
      {"float64", {.type = tf::DT_DOUBLE}},
      {"1x1 in float16", {.filter = {1, 1, 16, 16}, .type = tf::DT_HALF}}};
  for (const auto& [name, layer] : others) {
    tf::GraphDef graph = convolution(layer);
    const std::string before = graph.SerializeAsString();
    EXPECT_EQ(make_convolutions_fast(&graph), 0) << name;
    EXPECT_EQ(graph.SerializeAsString(), before) << name;
  }
  // The filter's gradient says its sizes itself, by the placeholder's shape: not known either.
  tf::GraphDef unknown = convolution({.known_filter = false});
  EXPECT_EQ(make_convolutions_fast(&unknown), 0);
}

TEST_F(FastConvolutions, StayWhereTheEnvironmentSaysSo) {
  const Environment off("MOX_FAST_CONVOLUTIONS", "0");
  tf::GraphDef graph = convolution({});
  EXPECT_EQ(make_convolutions_fast(&graph), 0);
  EXPECT_EQ(count_of(graph, "Mox"), 0);
}

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
