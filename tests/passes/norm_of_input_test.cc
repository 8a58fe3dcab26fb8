// Which batch norms the pass gives to those who read what they normalise, and what it leaves of the graph.
#include "passes/norm_of_input.h"

#include <gtest/gtest.h>

#include "graph/built_graph.h"
#include "passes/joined.h"
#include "passes/norm_graphs.h"
#include "passes/passes.h"
#include "passes/processor.h"

namespace mox {
namespace {

namespace tf = tensorflow;
using namespace testing;

constexpr char kSwitch[] = "MOX_NORM_IN_CONVOLUTIONS";
const Inputs kVectors = {"mean", "variance", "scale", "offset"};

Inputs with_vectors(Inputs before, const Inputs& after = {}) {
  before.insert(before.end(), kVectors.begin(), kVectors.end());
  before.insert(before.end(), after.begin(), after.end());
  return before;
}

void add_norm(tf::GraphDef* graph, const std::string& name, const std::string& of) {
  NodeMaker norm(graph, name, "MoxNormalize");
  norm.input(of);
  for (const std::string& vector : kVectors) norm.input(vector);
  norm.attr("T", tf::DT_FLOAT).attr("num_side", 0).attr("epsilon", 0.25f).attr("activation", "Relu6");
}

NodeMaker add_reader(tf::GraphDef* graph, const std::string& name, const std::string& op, const Inputs& inputs) {
  NodeMaker node(graph, name, op);
  for (const std::string& input : inputs) node.input(input);
  return node.attr("T", tf::DT_FLOAT).attr("stride", 1).attr("padding", "SAME");
}

// "norm" of "x", read by "conv" and by "dw", which is the gradient of its filter "w".
tf::GraphDef network(bool depthwise = false, const tf::TensorShape& filter = {1, 1, 16, 32}) {
  const std::string kind = depthwise ? "MoxDepthwiseConvolution" : "MoxConvolution";
  tf::GraphDef graph;
  // Before what it reads: a graph is in no order.
  add_reader(&graph, "dw", kind + "FilterGradient", {"norm", "w/sizes", "dy"});
  for (const char* name : {"x", "dy"}) NodeMaker(&graph, name, "Placeholder").attr("dtype", tf::DT_FLOAT);
  for (const std::string& name : kVectors) NodeMaker(&graph, name, "Placeholder").attr("dtype", tf::DT_FLOAT);
  add_filter(&graph, "w", filter);
  NodeMaker(&graph, "w/sizes", "Shape").input("w/read").attr("T", tf::DT_FLOAT);
  add_norm(&graph, "norm", "x");
  add_reader(&graph, "conv", kind, {"norm", "w/read"}).attr("num_bias", 0).attr("activation", "");
  return graph;
}

void expect_normalizes(tf::GraphDef* graph, const std::string& name, const Inputs& inputs) {
  EXPECT_EQ(inputs_of(graph, name), inputs) << name;
  const auto& attr = find(graph, name)->attr();
  ASSERT_TRUE(attr.contains("num_norm")) << name;
  EXPECT_EQ(attr.at("num_norm").i(), 4) << name;
  EXPECT_EQ(attr.at("norm_epsilon").f(), 0.25f) << name;
  EXPECT_EQ(attr.at("norm_activation").s(), "Relu6") << name;
}

// Of "norm".
void expect_given(tf::GraphDef graph, const std::string& what = "") {
  const tf::NodeDef before = *find(&graph, "norm");
  EXPECT_EQ(normalize_where_read(&graph), 1) << what;
  expect_normalizes(&graph, "conv", with_vectors({"x", "w/read"}));
  expect_normalizes(&graph, "dw", with_vectors({"x", "w/sizes", "dy"}));
  // For who asks for it by name; who feeds it would wonder.
  tf::NodeDef left = *find(&graph, "norm");
  EXPECT_EQ(joined_by(left), kSwitch) << what;
  left.mutable_attr()->erase("_mox_joined");
  EXPECT_EQ(left.DebugString(), before.DebugString()) << what;
  EXPECT_EQ(normalize_where_read(&graph), 0) << "given twice: " << what;
}

void expect_stays(tf::GraphDef graph, const std::string& what) {
  const std::string before = graph.SerializeAsString();
  EXPECT_EQ(normalize_where_read(&graph), 0) << what;
  EXPECT_EQ(graph.SerializeAsString(), before) << what;
}

TEST(NormOfInput, IsGivenToConvolutions) {
  expect_given(network());
  tf::GraphDef elsewhere = network();
  for (const char* name : {"norm", "conv", "dw"}) find(&elsewhere, name)->set_device("/device:CPU:1");
  expect_given(elsewhere, "another device");
  for (const int64_t size : {3, 5, 7})
    for (const int stride : {1, 2}) {
      tf::GraphDef depthwise = network(true, {size, size, 16, 1});
      for (const char* name : {"conv", "dw"}) set_attr(&depthwise, name, "stride", stride);
      expect_given(depthwise, "depthwise");
    }
  // x may be any output, and others may read it.
  tf::GraphDef port = network();
  *find(&port, "norm")->mutable_input(0) = "split:2";
  NodeMaker(&port, "other", "Identity").input("split:2").attr("T", tf::DT_FLOAT);
  EXPECT_EQ(normalize_where_read(&port), 1);
  EXPECT_EQ(inputs_of(&port, "conv"), with_vectors({"split:2", "w/read"}));
  EXPECT_EQ(inputs_of(&port, "other"), Inputs{"split:2"});
}

// The vectors come behind a bias and before what is waited for.
TEST(NormOfInput, KeepsOtherInputs) {
  tf::GraphDef graph = network();
  for (const char* name : {"bias", "a", "b"}) NodeMaker(&graph, name, "NoOp");
  for (const char* input : {"bias", "^a", "^b"}) find(&graph, "conv")->add_input(input);
  set_attr(&graph, "conv", "num_bias", 1);
  set_attr(&graph, "conv", "activation", "Relu");
  find(&graph, "dw")->add_input("^b");
  EXPECT_EQ(normalize_where_read(&graph), 1);
  expect_normalizes(&graph, "conv", with_vectors({"x", "w/read", "bias"}, {"^a", "^b"}));
  expect_normalizes(&graph, "dw", with_vectors({"x", "w/sizes", "dy"}, {"^b"}));
  EXPECT_EQ(find(&graph, "conv")->attr().at("activation").s(), "Relu");
}

TEST(NormOfInput, IsGivenToSeveral) {
  tf::GraphDef graph = network();
  add_filter(&graph, "w2", {5, 5, 16, 1});
  add_reader(&graph, "conv2", "MoxConvolution", {"norm:0", "w/read"});
  add_reader(&graph, "dconv", "MoxDepthwiseConvolution", {"norm", "w2/read"}).attr("stride", 2);
  EXPECT_EQ(normalize_where_read(&graph), 1);
  for (const char* name : {"conv", "conv2"}) expect_normalizes(&graph, name, with_vectors({"x", "w/read"}));
  expect_normalizes(&graph, "dconv", with_vectors({"x", "w2/read"}));
  expect_normalizes(&graph, "dw", with_vectors({"x", "w/sizes", "dy"}));
}

// Each reads what the one before gives; the third is read by another.
TEST(NormOfInput, IsGivenInChains) {
  tf::GraphDef graph = network();
  add_filter(&graph, "w2", {3, 3, 32, 1});
  add_norm(&graph, "norm2", "conv");
  add_reader(&graph, "conv2", "MoxDepthwiseConvolution", {"norm2", "w2/read"});
  add_norm(&graph, "norm3", "conv2");
  add_reader(&graph, "conv3", "MoxConvolution", {"norm3", "w/read"});
  NodeMaker(&graph, "relu", "Relu").input("norm3").attr("T", tf::DT_FLOAT);
  EXPECT_EQ(normalize_where_read(&graph), 2);
  expect_normalizes(&graph, "conv", with_vectors({"x", "w/read"}));
  expect_normalizes(&graph, "conv2", with_vectors({"conv", "w2/read"}));
  EXPECT_EQ(inputs_of(&graph, "conv3"), (Inputs{"norm3", "w/read"}));
  EXPECT_EQ(joined_by(*find(&graph, "norm3")), "");
  EXPECT_EQ(inputs_of(&graph, "norm2"), with_vectors({"conv"}));
}

// What is normalised has the same shape.
TEST(NormOfInput, GivesItsShape) {
  tf::GraphDef graph = network();
  NodeMaker(&graph, "shape", "Shape").input("norm").attr("T", tf::DT_FLOAT);
  NodeMaker(&graph, "shapes", "ShapeN").input("dy").input("norm").attr("T", tf::DT_FLOAT).attr("N", 2);
  EXPECT_EQ(normalize_where_read(&graph), 1);
  EXPECT_EQ(inputs_of(&graph, "shape"), Inputs{"x"});
  EXPECT_EQ(inputs_of(&graph, "shapes"), (Inputs{"dy", "x"}));
  EXPECT_FALSE(find(&graph, "shape")->attr().contains("num_norm"));
  // One that waits for the norm knows its own tensor.
  tf::GraphDef waits = network();
  NodeMaker(&waits, "shape", "Shape").input("dy").control("norm").attr("T", tf::DT_FLOAT);
  expect_stays(waits, "a shape that waits");
}

// fuse_batch_norm leaves a ReLU's gradient that nobody runs, and make_convolutions_fast a convolution whose bias was
// joined, and a gradient whose cast was.
TEST(NormOfInput, IsGivenBesidesWhatWasLeftBehind) {
  for (const char* relu : {"ReluGrad", "Relu6Grad"}) {
    tf::GraphDef graph = network();
    NodeMaker(&graph, "left", relu).input("dy").input("norm").attr("T", tf::DT_FLOAT);
    set_attr(&graph, "left", "_mox_joined", "MOX_FUSE_BATCH_NORM");
    expect_given(graph, relu);
    NodeMaker(&graph, "reader", "Identity").input("left").attr("T", tf::DT_FLOAT);
    expect_stays(graph, "a gradient that is read");
  }
  for (const char* op : {"Conv2D", "Conv2DBackpropFilter"}) {
    tf::GraphDef graph = network();
    add_reader(&graph, "left", op, {"norm", "w/read"});
    expect_stays(graph, op);
    set_attr(&graph, "left", "_mox_joined", "MOX_FAST_CONVOLUTIONS");
    expect_given(graph, op);
    tf::GraphDef kept = graph;
    normalize_where_read(&kept);
    EXPECT_EQ(inputs_of(&kept, "left"), (Inputs{"norm", "w/read"}));
    NodeMaker(&graph, "reader", "NoOp").control("left");
    expect_stays(graph, "a convolution that somebody waits for");
  }
}

// A depthwise convolution computes little: in bfloat16 what it would save is spent on rounding.
TEST(NormOfInput, OfBfloat16StaysBeforeDepthwiseConvolutions) {
  for (const bool depthwise : {false, true}) {
    tf::GraphDef graph = network(depthwise);
    for (tf::NodeDef& node : *graph.mutable_node())
      if (node.name() == "conv" || node.name() == "dw" || node.name() == "norm")
        tf::SetAttrValue(tf::DT_BFLOAT16, &(*node.mutable_attr())["T"]);
    EXPECT_EQ(normalize_where_read(&graph), depthwise ? 0 : 1);
  }
}

TEST(NormOfInput, OthersStay) {
  const std::vector<std::pair<const char*, Edit>> others = {
      {"another reader",
       [](tf::GraphDef* g) { NodeMaker(g, "other", "Identity").input("norm").attr("T", tf::DT_FLOAT); }},
      {"waited for", [](tf::GraphDef* g) { NodeMaker(g, "other", "NoOp").control("norm"); }},
      {"waited for by a reader", [](tf::GraphDef* g) { find(g, "conv")->add_input("^norm"); }},
      {"3x3",
       [](tf::GraphDef* g) {
         set_filter(g, "w", {3, 3, 16, 32});
       }},
      {"1x3",
       [](tf::GraphDef* g) {
         set_filter(g, "w", {1, 3, 16, 32});
       }},
      {"3x1",
       [](tf::GraphDef* g) {
         set_filter(g, "w", {3, 1, 16, 32});
       }},
      {"a filter that is not known", [](tf::GraphDef* g) { find(g, "conv")->set_input(1, "x"); }},
      {"sizes that are not known", [](tf::GraphDef* g) { find(g, "dw")->set_input(1, "x"); }},
      {"stride 2", [](tf::GraphDef* g) { set_attr(g, "conv", "stride", 2); }},
      {"gradient with stride 2", [](tf::GraphDef* g) { set_attr(g, "dw", "stride", 2); }},
      {"convolution elsewhere", [](tf::GraphDef* g) { find(g, "conv")->set_device("/device:CPU:1"); }},
      {"gradient elsewhere", [](tf::GraphDef* g) { find(g, "dw")->set_device("/device:CPU:1"); }},
      {"norm elsewhere", [](tf::GraphDef* g) { find(g, "norm")->set_device("/device:CPU:1"); }},
      {"waits",
       [](tf::GraphDef* g) {
         NodeMaker(g, "before", "NoOp");
         find(g, "norm")->add_input("^before");
       }},
      {"something added",
       [](tf::GraphDef* g) {
         set_attr(g, "norm", "num_side", 1);
         tf::NodeDef* norm = find(g, "norm");
         norm->add_input("");
         for (int i = norm->input_size() - 1; i > 1; --i) norm->set_input(i, norm->input(i - 1));
         norm->set_input(1, "dy");
       }},
      {"the gradient of what the convolution gives", [](tf::GraphDef* g) { find(g, "dw")->set_input(2, "norm"); }},
      {"a filter", [](tf::GraphDef* g) { find(g, "conv")->set_input(1, "norm"); }},
      {"a bias",
       [](tf::GraphDef* g) {
         find(g, "conv")->add_input("norm");
         set_attr(g, "conv", "num_bias", 1);
       }},
      {"TensorFlow's", [](tf::GraphDef* g) { find(g, "conv")->set_op("Conv2D"); }},
      {"TensorFlow's gradient", [](tf::GraphDef* g) { find(g, "dw")->set_op("Conv2DBackpropFilter"); }},
      {"in groups", [](tf::GraphDef* g) { find(g, "conv")->set_op("MoxGroupedConvolution"); }},
      {"another norm", [](tf::GraphDef* g) { add_norm(g, "other", "norm"); }},
      {"TensorFlow's norm", [](tf::GraphDef* g) { find(g, "norm")->set_op("FusedBatchNormV3"); }},
      {"not read", [](tf::GraphDef* g) {
         for (const char* name : {"conv", "dw"}) find(g, name)->set_input(0, "x");
         NodeMaker(g, "shape", "Shape").input("norm").attr("T", tf::DT_FLOAT);
       }}};
  for (const auto& [name, edit] : others) {
    tf::GraphDef graph = network();
    edit(&graph);
    expect_stays(graph, name);
  }
}

TEST(NormOfInput, StaysWhereTheEnvironmentSaysSo) {
  const Environment off(kSwitch, "0");
  expect_stays(network(), "switched off");
}

// By the list of passes: in a training on CPUs alone.
TEST(NormOfInput, IsOneOfTheTrainingsPasses) {
  for (const ModeKeys mode : {ModeKeys::TRAIN, ModeKeys::EVAL}) {
    BuiltGraph built;
    built.mode = mode;
    built.towers.resize(1);
    built.graph = network();
    run_passes(&built, {});
    EXPECT_EQ(find(&built.graph, "conv")->input(0), mode == ModeKeys::TRAIN ? "x" : "norm");
  }
}

}  // namespace
}  // namespace mox
