// Which batch norms are computed where they are read, and what is left of the graph.
#include "passes/norm_of_input.h"

#include <gtest/gtest.h>

#include <functional>

#include "graph/node_defs.h"
#include "passes/joined.h"
#include "passes/processor.h"

namespace mox {
namespace {

namespace tf = tensorflow;
using testing::Environment;
using Inputs = std::vector<std::string>;
using Edit = std::function<void(tf::GraphDef*)>;

constexpr char kSwitch[] = "MOX_NORM_IN_CONVOLUTIONS";
const Inputs kVectors = {"mean", "variance", "scale", "offset"};

tf::NodeDef* find(tf::GraphDef* graph, const std::string& name) {
  for (tf::NodeDef& node : *graph->mutable_node())
    if (node.name() == name) return &node;
  ADD_FAILURE() << "no node " << name;
  return graph->mutable_node(0);
}

Inputs inputs_of(tf::GraphDef* graph, const std::string& name) {
  const auto& inputs = find(graph, name)->input();
  return {inputs.begin(), inputs.end()};
}

Inputs with_vectors(Inputs inputs, const Inputs& controls = {}) {
  inputs.insert(inputs.end(), kVectors.begin(), kVectors.end());
  inputs.insert(inputs.end(), controls.begin(), controls.end());
  return inputs;
}

void set_attr(tf::GraphDef* graph, const std::string& name, const char* attr, const auto& value) {
  tf::SetAttrValue(value, &(*find(graph, name)->mutable_attr())[attr]);
}

void add_reader(tf::GraphDef* graph, const std::string& name, const char* op, const Inputs& inputs) {
  NodeMaker node(graph, name, op);
  for (const std::string& input : inputs) node.input(input);
  node.attr("T", tf::DT_FLOAT).attr("stride", 1).attr("padding", "SAME");
}

// "norm" of "x", read by the convolution "conv" and the gradient "dw" of its filter "w".
tf::GraphDef normalized(const std::string& prefix = "Mox", const tf::TensorShape& filter = {1, 1, 16, 32}) {
  tf::GraphDef graph;
  for (const char* name : {"x", "dz", "bias", "mean", "variance", "scale", "offset"})
    NodeMaker(&graph, name, "Placeholder").attr("dtype", tf::DT_FLOAT);
  NodeMaker(&graph, "w", "VarHandleOp").attr("dtype", tf::DT_FLOAT).attr("shape", filter);
  NodeMaker(&graph, "w/read", "ReadVariableOp").input("w").attr("dtype", tf::DT_FLOAT);
  NodeMaker(&graph, "w/sizes", "Shape").input("w/read").attr("T", tf::DT_FLOAT);
  add_reader(&graph, "conv", (prefix + "Convolution").c_str(), {"norm", "w/read"});
  NodeMaker norm(&graph, "norm", "MoxNormalize");
  norm.input("x");
  for (const std::string& name : kVectors) norm.input(name);
  norm.attr("T", tf::DT_FLOAT).attr("num_side", 0).attr("epsilon", 0.25f).attr("activation", "Relu6");
  add_reader(&graph, "dw", (prefix + "ConvolutionFilterGradient").c_str(), {"norm", "w/sizes", "dz"});
  return graph;
}

void expect_moved(tf::GraphDef* graph) {
  EXPECT_EQ(normalize_where_read(graph), 1);
  for (const char* name : {"conv", "dw"}) {
    const auto& attr = find(graph, name)->attr();
    EXPECT_EQ(attr.at("num_norm").i(), 4) << name;
    EXPECT_EQ(attr.at("norm_epsilon").f(), 0.25f) << name;
    EXPECT_EQ(attr.at("norm_activation").s(), "Relu6") << name;
  }
  // For who asks for it by name.
  EXPECT_EQ(find(graph, "norm")->op(), "MoxNormalize");
  EXPECT_EQ(inputs_of(graph, "norm"), with_vectors({"x"}));
  EXPECT_EQ(joined_by(*find(graph, "norm")), kSwitch);
  EXPECT_EQ(normalize_where_read(graph), 0) << "moved twice";
}

void expect_stays(tf::GraphDef graph, const std::string& what) {
  const std::string before = graph.SerializeAsString();
  EXPECT_EQ(normalize_where_read(&graph), 0) << what;
  EXPECT_TRUE(graph.SerializeAsString() == before) << what;
}

TEST(NormOfInput, IsComputedByItsReaders) {
  tf::GraphDef graph = normalized();
  expect_moved(&graph);
  EXPECT_EQ(inputs_of(&graph, "conv"), with_vectors({"x", "w/read"}));
  EXPECT_EQ(inputs_of(&graph, "dw"), with_vectors({"x", "w/sizes", "dz"}));
}

TEST(NormOfInput, OfDepthwiseConvolutionsOfAnyFilter) {
  tf::GraphDef graph = normalized("MoxDepthwise", {5, 5, 16, 1});
  for (const char* name : {"conv", "dw"}) set_attr(&graph, name, "stride", 2);
  expect_moved(&graph);
  EXPECT_EQ(inputs_of(&graph, "conv"), with_vectors({"x", "w/read"}));
}

// Behind a bias, before what is waited for.
TEST(NormOfInput, StandsBehindAllInputs) {
  tf::GraphDef graph = normalized();
  NodeMaker(&graph, "before", "NoOp");
  find(&graph, "conv")->add_input("bias");
  find(&graph, "conv")->add_input("^before");
  expect_moved(&graph);
  EXPECT_EQ(inputs_of(&graph, "conv"), with_vectors({"x", "w/read", "bias"}, {"^before"}));
}

// Who asks for the image's sizes asks what was normalised, and what other passes left behind nobody runs.
TEST(NormOfInput, NeedsNoneForItsShape) {
  tf::GraphDef graph = normalized();
  NodeMaker(&graph, "sizes", "Shape").input("norm").attr("T", tf::DT_FLOAT);
  NodeMaker(&graph, "relu_grad", "ReluGrad").input("dz").input("norm").attr("T", tf::DT_FLOAT);
  NodeMaker(&graph, "dw_of_16_bits", "Conv2DBackpropFilter").input("norm").input("w/sizes").input("dz");
  set_attr(&graph, "dw_of_16_bits", "_mox_joined", "MOX_FAST_CONVOLUTIONS");
  expect_moved(&graph);
  EXPECT_EQ(inputs_of(&graph, "sizes"), Inputs{"x"});
  EXPECT_EQ(inputs_of(&graph, "dw_of_16_bits"), (Inputs{"norm", "w/sizes", "dz"}));
  EXPECT_EQ(inputs_of(&graph, "relu_grad"), (Inputs{"dz", "norm"}));
}

TEST(NormOfInput, StaysWhereSomethingElseReadsIt) {
  const std::vector<std::pair<const char*, Edit>> others = {
      {"another reader", [](tf::GraphDef* g) { NodeMaker(g, "other", "Identity").input("norm"); }},
      {"who waits", [](tf::GraphDef* g) { NodeMaker(g, "other", "NoOp").control("norm"); }},
      {"a convolution that waits, too", [](tf::GraphDef* g) { find(g, "conv")->add_input("^norm"); }},
      {"a ReLU's gradient that is read",
       [](tf::GraphDef* g) {
         NodeMaker(g, "relu_grad", "ReluGrad").input("dz").input("norm");
         NodeMaker(g, "other", "Identity").input("relu_grad");
       }},
      {"as another input", [](tf::GraphDef* g) { find(g, "dw")->set_input(2, "norm"); }},
      {"a strided one", [](tf::GraphDef* g) { set_attr(g, "conv", "stride", 2); }},
      {"a strided gradient", [](tf::GraphDef* g) { set_attr(g, "dw", "stride", 2); }},
      {"TensorFlow's", [](tf::GraphDef* g) { find(g, "conv")->set_op("Conv2D"); }},
      {"TensorFlow's gradient", [](tf::GraphDef* g) { find(g, "dw")->set_op("Conv2DBackpropFilter"); }},
      {"in groups", [](tf::GraphDef* g) { find(g, "conv")->set_op("MoxGroupedConvolution"); }},
      {"on another device", [](tf::GraphDef* g) { find(g, "dw")->set_device("/device:CPU:1"); }},
      {"a filter that is not known", [](tf::GraphDef* g) { find(g, "conv")->set_input(1, "x"); }},
      {"only for its shape",
       [](tf::GraphDef* g) {
         for (const char* name : {"conv", "dw"}) find(g, name)->set_op("Shape");
       }},
      {"waits itself",
       [](tf::GraphDef* g) {
         NodeMaker(g, "before", "NoOp");
         find(g, "norm")->add_input("^before");
       }},
      {"something added",
       [](tf::GraphDef* g) {
         set_attr(g, "norm", "num_side", 1);
         find(g, "norm")->add_input("dz");
       }},
      {"another operation", [](tf::GraphDef* g) { find(g, "norm")->set_op("FusedBatchNormV3"); }}};
  for (const auto& [name, edit] : others) {
    tf::GraphDef graph = normalized();
    edit(&graph);
    expect_stays(graph, name);
  }
  for (const tf::TensorShape& filter : {tf::TensorShape{3, 3, 16, 32}, {1, 3, 16, 32}, {3, 1, 16, 32}})
    expect_stays(normalized("Mox", filter), filter.DebugString());
  const Environment off(kSwitch, "0");
  expect_stays(normalized(), "switched off");
}

}  // namespace
}  // namespace mox
