#include "passes/grouped_convolutions.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "graph/graph_session.h"
#include "graph/node_defs.h"
#include "moxing/moxing.h"
#include "passes/joined.h"
#include "passes/processor.h"
#include "tensorflow/cc/framework/gradients.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace mox {
namespace {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;
using testing::Environment;
using tf::Output;

class GroupedConvolutions : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::has_vectors()) GTEST_SKIP() << "this processor has no AVX2";
  }
};

struct Layer {
  int groups = 8, group = 4;
  int side = 3, stride = 1;
  layers::Padding padding = layers::Padding::kSame;
  tf::DataType type = tf::DT_FLOAT;
  std::string format = "NHWC";
  int rate = 1;
};

// The layer's own graph, "y" of "x", and the gradients "dx" and "dw".
tf::GraphDef grouped(const Layer& layer) {
  const Scope root = Scope::new_root(), s = layer.type == tf::DT_FLOAT ? root : root.var_scope(tf::DT_FLOAT);
  const int channels = layer.groups * layer.group;
  const bool nhwc = layer.format == "NHWC";
  const tf::TensorShape shape = nhwc ? tf::TensorShape{2, 9, 12, channels} : tf::TensorShape{2, channels, 9, 12};
  const Output x =
      ops::Cast(s.WithOpName("x"), ops::Const(s, tf::Input::Initializer(random_tensor(shape, 1))), layer.type);
  layers::Conv2dOptions options;
  options.stride = layer.stride;
  options.padding = layer.padding;
  options.groups = layer.groups;
  options.activation = nullptr;
  options.use_bias = false;
  options.data_format = layer.format;
  options.rate = layer.rate;
  const Output y = layers::conv2d(s, x, channels, layer.side, "layer", options);
  std::vector<Output> gradients;
  Output w;
  for (tf::Node* node : s.graph()->op_nodes()) {
    if (node->name().find("split_weights") == std::string::npos || node->type_string() != "Split") continue;
    const tf::Edge* edge = nullptr;
    TF_CHECK_OK(node->input_edge(1, &edge));
    w = Output(edge->src(), edge->src_output());
  }
  TF_CHECK_OK(tf::AddSymbolicGradients(s, {ops::Mul(s, y, y)}, {x, w}, &gradients));
  ops::Cast(s.WithOpName("y"), y, tf::DT_FLOAT);
  ops::Cast(s.WithOpName("dx"), gradients[0], tf::DT_FLOAT);
  ops::Cast(s.WithOpName("dw"), gradients[1], tf::DT_FLOAT);
  check(s, "test");
  tf::GraphDef graph;
  s.graph()->ToGraphDef(&graph);
  return graph;
}

int count_of(const tf::GraphDef& graph, const std::string& op) {
  return static_cast<int>(std::count_if(graph.node().begin(), graph.node().end(),
                                        [&](const tf::NodeDef& node) { return node.op() == op; }));
}

// Of "node:1": "node", and ":1".
std::string name_of(const std::string& tensor) { return tensor.substr(0, tensor.find(':')); }
std::string port_of(const std::string& tensor) {
  const size_t colon = tensor.find(':');
  return colon == std::string::npos ? "" : tensor.substr(colon);
}

tf::NodeDef* node_of(tf::GraphDef* graph, const std::string& op, int number = 0) {
  for (tf::NodeDef& node : *graph->mutable_node())
    if (node.op() == op && number-- == 0) return &node;
  ADD_FAILURE() << "no " << op;
  return graph->mutable_node(0);
}

const std::vector<std::string> kResults = {"y", "dx", "dw"};

// How much the results of two graphs differ, with the same weights.
std::vector<double> differences(tf::GraphDef before, tf::GraphDef after) {
  std::vector<tf::Tensor> weights, results[2];
  for (tf::GraphDef* graph : {&before, &after}) {
    const std::string read = node_of(graph, "ReadVariableOp")->name();
    const std::unique_ptr<tf::Session> session(tf::NewSession({}));
    TF_CHECK_OK(session->Create(*graph));
    TF_CHECK_OK(session->Run({}, {}, {node_of(graph, "AssignVariableOp")->name()}, nullptr));
    if (weights.empty()) TF_CHECK_OK(session->Run({}, {read}, {}, &weights));
    TF_CHECK_OK(session->Run({{read, weights[0]}}, kResults, {}, &results[graph == &after]));
  }
  std::vector<double> found;
  for (size_t i = 0; i < kResults.size(); ++i) found.push_back(relative_difference(results[1][i], results[0][i]));
  return found;
}

void expect_same_numbers(const tf::GraphDef& before, const tf::GraphDef& after, double tolerance,
                         const std::string& name) {
  const std::vector<double> found = differences(before, after);
  for (size_t i = 0; i < kResults.size(); ++i) EXPECT_LE(found[i], tolerance) << kResults[i] << ", " << name;
}

void expect_joined(const tf::GraphDef& before, tf::GraphDef* after, const Layer& layer, const std::string& name) {
  *after = before;
  EXPECT_EQ(join_grouped_convolutions(after), 3) << name;
  for (const char* op :
       {"MoxGroupedConvolution", "MoxGroupedConvolutionInputGradient", "MoxGroupedConvolutionFilterGradient"}) {
    ASSERT_EQ(count_of(*after, op), 1) << name << op;
    const auto& attr = node_of(after, op)->attr();
    EXPECT_EQ(attr.at("groups").i(), layer.groups) << name;
    EXPECT_EQ(attr.at("stride").i(), layer.stride) << name;
    EXPECT_EQ(attr.at("padding").s(), layer.padding == layers::Padding::kSame ? "SAME" : "VALID") << name;
  }
  expect_same_numbers(before, *after, layer.type == tf::DT_FLOAT ? 1e-5 : 1 / 100.0, name);
  EXPECT_EQ(join_grouped_convolutions(after), 0) << name;
}

TEST_F(GroupedConvolutions, BecomeOneOperationEach) {
  for (const tf::DataType type : {tf::DT_FLOAT, tf::DT_BFLOAT16})
    for (const int group : {4, 8, 16, 32})
      for (const int stride : {1, 2})
        for (const layers::Padding padding : {layers::Padding::kSame, layers::Padding::kValid}) {
          const Layer layer{4, group, 3, stride, padding, type};
          tf::GraphDef after;
          expect_joined(grouped(layer), &after, layer, std::to_string(group) + tf::DataTypeString(type));
          // The pieces are there for who asks for them, and nobody reads them.
          EXPECT_EQ(count_of(after, "Conv2D"), 4);
          for (const tf::NodeDef& node : after.node())
            if (std::set<std::string>{"Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter", "Split", "Slice"}.count(
                    node.op()))
              EXPECT_EQ(joined_by(node), "MOX_FAST_CONVOLUTIONS") << node.name();
        }
  tf::GraphDef after;
  expect_joined(grouped({.groups = 32, .side = 5}), &after, {.groups = 32}, "32 groups");
}

// A rate is a convolution with stride 1 of an image that is cut apart.
TEST_F(GroupedConvolutions, BecomeOneBehindARate) {
  const Layer layer{.padding = layers::Padding::kSame, .rate = 2};
  tf::GraphDef graph = grouped(layer);
  EXPECT_EQ(join_grouped_convolutions(&graph), 3);
  expect_same_numbers(grouped(layer), graph, 1e-5, "rate");
}

// As Python's gradients are: pieces of the gradient by SplitV, and sizes that are known.
TEST_F(GroupedConvolutions, AreFoundAsPythonWritesThem) {
  tf::GraphDef before = grouped({});
  tf::Tensor sizes(tf::DT_INT32, {8}), of_x(tf::DT_INT32, {4}), of_w(tf::DT_INT32, {4});
  sizes.flat<int32_t>().setConstant(4);
  std::copy_n(std::initializer_list<int>{2, 9, 12, 4}.begin(), 4, of_x.flat<int32_t>().data());
  std::copy_n(std::initializer_list<int>{3, 3, 4, 4}.begin(), 4, of_w.flat<int32_t>().data());
  const std::pair<const char*, tf::Tensor*> constants[] = {{"sizes", &sizes}, {"of_x", &of_x}, {"of_w", &of_w}};
  for (const auto& [name, value] : constants)
    NodeMaker(&before, name, "Const").attr("dtype", tf::DT_INT32).attr("value", *value);
  std::map<std::string, std::string> of;
  const std::string dy = node_of(&before, "Slice")->input(0), axis = node_of(&before, "Split")->input(0);
  for (const tf::NodeDef& node : before.node())
    if (node.op() == "Slice") of[node.name()] = "pieces" + port_of(node.input(1));
  ASSERT_EQ(of.size(), 8);
  NodeMaker(&before, "pieces", "SplitV")
      .input(dy)
      .input("sizes")
      .input(axis)
      .attr("T", tf::DT_FLOAT)
      .attr("Tlen", tf::DT_INT32)
      .attr("num_split", 8);
  for (tf::NodeDef& node : *before.mutable_node()) {
    if (node.op() == "Conv2DBackpropInput") node.set_input(0, "of_x");
    if (node.op() == "Conv2DBackpropFilter") node.set_input(1, "of_w");
    if (node.op().rfind("Conv2DBackprop", 0) == 0) node.set_input(2, of.at(name_of(node.input(2))));
  }
  tf::GraphDef after;
  expect_joined(before, &after, {}, "SplitV");
}

// Calls change(graph) with a layer's: of its three, so many stay.
void expect_left(const std::string& name, int left, const std::function<void(tf::GraphDef*)>& change,
                 const Layer& layer = {}) {
  tf::GraphDef graph = grouped(layer);
  change(&graph);
  EXPECT_EQ(join_grouped_convolutions(&graph), 3 - left) << name;
}

void swap_inputs(tf::NodeDef* node, int i, int k) { node->mutable_input()->SwapElements(i, k); }

TEST_F(GroupedConvolutions, StayWhereSomethingDiffers) {
  const auto nothing = [](tf::GraphDef*) {};
  expect_left("nothing", 0, nothing);
  expect_left("12 a group", 3, nothing, {.group = 12});
  expect_left("64 a group", 3, nothing, {.groups = 2, .group = 64});
  expect_left("24 channels", 3, nothing, {.groups = 6});
  expect_left("float64", 3, nothing, {.type = tf::DT_DOUBLE});
  expect_left("outputs of another order", 1,
              [](tf::GraphDef* graph) { swap_inputs(node_of(graph, "ConcatV2"), 2, 3); });
  expect_left("an image twice", 1, [](tf::GraphDef* graph) {
    node_of(graph, "Conv2D", 3)->set_input(0, node_of(graph, "Conv2D", 2)->input(0));
  });
  expect_left("filters of another order", 1, [](tf::GraphDef* graph) {
    tf::NodeDef *one = node_of(graph, "Conv2D", 1), *other = node_of(graph, "Conv2D", 5);
    one->mutable_input(1)->swap(*other->mutable_input(1));
  });
  expect_left("another image", 1, [](tf::GraphDef* graph) { node_of(graph, "Conv2D", 7)->set_input(0, "x"); });
  expect_left("another stride", 1, [](tf::GraphDef* graph) {
    tf::SetAttrValue(std::vector<int64_t>{1, 2, 2, 1}, &(*node_of(graph, "Conv2D", 4)->mutable_attr())["strides"]);
  });
  expect_left("two strides", 3, [](tf::GraphDef* graph) {
    for (tf::NodeDef& node : *graph->mutable_node())
      if (node.attr().count("strides"))
        tf::SetAttrValue(std::vector<int64_t>{1, 1, 2, 1}, &(*node.mutable_attr())["strides"]);
  });
  expect_left("another padding", 1, [](tf::GraphDef* graph) {
    tf::SetAttrValue("VALID", &(*node_of(graph, "Conv2DBackpropInput", 4)->mutable_attr())["padding"]);
  });
  expect_left("a dilation", 1, [](tf::GraphDef* graph) {
    tf::SetAttrValue(std::vector<int64_t>{1, 2, 2, 1},
                     &(*node_of(graph, "Conv2DBackpropFilter", 3)->mutable_attr())["dilations"]);
  });
  expect_left("NCHW", 3, [](tf::GraphDef* graph) {
    for (tf::NodeDef& node : *graph->mutable_node())
      if (node.attr().count("data_format")) tf::SetAttrValue("NCHW", &(*node.mutable_attr())["data_format"]);
  });
  expect_left("gradients of another order", 2, [](tf::GraphDef* graph) {
    tf::NodeDef *one = node_of(graph, "Slice", 1), *other = node_of(graph, "Slice", 5);
    one->mutable_input(1)->swap(*other->mutable_input(1));
  });
  expect_left("a piece of another gradient", 2,
              [](tf::GraphDef* graph) { node_of(graph, "Slice", 6)->set_input(0, "x"); });
  expect_left("a piece of another kind", 1, [](tf::GraphDef* graph) {
    tf::NodeDef* piece = node_of(graph, "Conv2D", 2);
    piece->set_op("Identity");
    piece->mutable_input()->RemoveLast();
  });
}

// Split along another dimension than the channels: the same names, other numbers.
TEST_F(GroupedConvolutions, StayWhereAnAxisDiffers) {
  for (const int input : {0, 1}) {
    tf::GraphDef graph = grouped({});
    tf::Tensor axis(tf::DT_INT32, {});
    axis.scalar<int32_t>()() = 2;
    NodeMaker(&graph, "axis", "Const").attr("dtype", tf::DT_INT32).attr("value", axis);
    const std::string split = name_of(node_of(&graph, "Conv2D")->input(input));
    for (tf::NodeDef& node : *graph.mutable_node())
      if (node.name() == split) node.set_input(0, "axis");
    EXPECT_EQ(join_grouped_convolutions(&graph), 0) << input;
  }
  tf::GraphDef graph = grouped({});
  tf::Tensor axis(tf::DT_INT32, {});
  axis.scalar<int32_t>()() = 1;
  NodeMaker(&graph, "axis", "Const").attr("dtype", tf::DT_INT32).attr("value", axis);
  node_of(&graph, "ConcatV2")->set_input(8, "axis");
  EXPECT_EQ(join_grouped_convolutions(&graph), 2);
}

// DenseNet's: what else is joined to a convolution's result may have none of its attributes.
TEST_F(GroupedConvolutions, StayBesideSomethingElse) {
  for (const int convolution : {0, 1}) {
    const Scope s = Scope::new_root();
    const auto x = ops::Placeholder(s, tf::DT_FLOAT);
    const Output conv = ops::Conv2D(s, x, ops::Const(s, 1.f, {3, 3, 16, 16}), {1, 1, 1, 1}, "SAME");
    std::vector<Output> pieces{x, x};
    pieces[convolution] = conv;
    ops::Concat(s, pieces, 3);
    tf::GraphDef graph;
    s.graph()->ToGraphDef(&graph);
    EXPECT_EQ(join_grouped_convolutions(&graph), 0);
  }
}

TEST_F(GroupedConvolutions, StayWhereTheEnvironmentSaysSo) {
  const Environment off("MOX_FAST_CONVOLUTIONS", "0");
  tf::GraphDef graph = grouped({});
  const std::string before = graph.SerializeAsString();
  EXPECT_EQ(join_grouped_convolutions(&graph), 0);
  EXPECT_EQ(graph.SerializeAsString(), before);
}

TEST_F(GroupedConvolutions, KeepControlInputs) {
  tf::GraphDef graph = grouped({});
  std::set<std::string> wanted;
  for (const char* op : {"ConcatV2", "Conv2D", "Split"}) {
    NodeMaker(&graph, std::string("before_") + op, "NoOp");
    node_of(&graph, op)->add_input(std::string("^before_") + op);
    wanted.insert(std::string("^before_") + op);
  }
  EXPECT_EQ(join_grouped_convolutions(&graph), 3);
  const auto& inputs = node_of(&graph, "MoxGroupedConvolution")->input();
  EXPECT_EQ(std::set<std::string>(inputs.begin() + 2, inputs.end()), wanted);
}

// A piece that somebody else reads is computed for that reader, and is no joined one.
TEST_F(GroupedConvolutions, LeavePiecesToTheirOtherReaders) {
  tf::GraphDef before = grouped({});
  const std::string piece = node_of(&before, "Conv2D", 2)->name();
  NodeMaker(&before, "reader", "Identity").input(piece).attr("T", tf::DT_FLOAT);
  tf::GraphDef after;
  expect_joined(before, &after, {}, "a reader");
  for (const tf::NodeDef& node : after.node())
    if (node.op() == "Conv2D") EXPECT_EQ(joined_by(node).empty(), node.name() == piece);
}

}  // namespace
}  // namespace mox
