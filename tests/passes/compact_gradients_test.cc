// Which gradients of strided 1x1 convolutions the pass of norms in convolutions makes compact, and what it leaves.
#include <gtest/gtest.h>

#include <algorithm>

#include "passes/joined.h"
#include "passes/norm_graphs.h"
#include "passes/norm_in_convolutions.h"
#include "passes/processor.h"

namespace mox {
namespace {

namespace tf = tensorflow;
using namespace testing;

constexpr char kSwitch[] = "MOX_NORM_IN_CONVOLUTIONS";

class CompactGradients : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::has_vectors()) GTEST_SKIP() << "this processor has no AVX2";
  }
};

// At "norm" arrive "grad", of a 1x1 convolution with stride 1, and "shortcut", of one with stride 2.
tf::GraphDef residual(tf::DataType type = tf::DT_FLOAT) {
  tf::GraphDef graph = backward(true, true, type);
  add_filter(&graph, "w2", {1, 1, 16, 48});
  NodeMaker(&graph, "dz2", "Placeholder").attr("dtype", type);
  NodeMaker(&graph, "shortcut", "Conv2DBackpropInput")
      .input("sizes")
      .input("w2/read")
      .input("dz2")
      .attr("T", type)
      .attr("strides", std::vector<int64_t>{1, 2, 2, 1})
      .attr("dilations", std::vector<int64_t>{1, 1, 1, 1})
      .attr("data_format", "NHWC")
      .attr("use_cudnn_on_gpu", true)
      .attr("padding", "SAME");
  *find(&graph, "norm")->mutable_input(1) = "shortcut";
  return graph;
}

const Inputs kJoined = {"w/read", "dz", "shortcut/compact", "x", "y", "mean", "variance", "scale", "offset"};

bool has_node(const tf::GraphDef& graph, const std::string& name) {
  return std::ranges::any_of(graph.node(), [&](const tf::NodeDef& node) { return node.name() == name; });
}

void expect_compact(tf::GraphDef graph, int64_t stride, const Inputs& controls = {}) {
  const tf::NodeDef before = *find(&graph, "shortcut");
  EXPECT_EQ(compute_norms_in_convolutions(&graph), 1);
  const tf::NodeDef& norm = *find(&graph, "norm");
  EXPECT_EQ(norm.op(), "MoxConvolutionNormalizeGrad");
  EXPECT_EQ(inputs_of(&graph, "norm"), kJoined);
  EXPECT_EQ(norm.attr().size(), 8u);  // one that the operation does not have would be an error
  EXPECT_EQ(norm.attr().at("num_more").i(), 1);
  EXPECT_EQ(norm.attr().at("more_stride").i(), stride);
  EXPECT_EQ(norm.attr().at("stride").i(), 1) << "of the convolution whose product it computes";
  const tf::NodeDef& compact = *find(&graph, "shortcut/compact");
  EXPECT_EQ(compact.op(), "MoxConvolutionInputGradient");
  EXPECT_EQ(compact.device(), before.device());
  Inputs wanted = {"sizes", "w2/read", "dz2"};
  wanted.insert(wanted.end(), controls.begin(), controls.end());
  EXPECT_EQ(inputs_of(&graph, "shortcut/compact"), wanted);
  EXPECT_EQ(compact.attr().size(), 4u);
  EXPECT_EQ(compact.attr().at("T").type(), before.attr().at("T").type());
  EXPECT_EQ(compact.attr().at("stride").i(), stride);
  EXPECT_EQ(compact.attr().at("padding").s(), "VALID");
  EXPECT_TRUE(compact.attr().at("compact").b());
  EXPECT_EQ(joined_by(compact), "");
  // The whole one is for who asks for it by name; who feeds it would wonder.
  tf::NodeDef left = *find(&graph, "shortcut");
  EXPECT_EQ(joined_by(left), kSwitch);
  left.mutable_attr()->erase("_mox_joined");
  EXPECT_EQ(left.DebugString(), before.DebugString());
  EXPECT_EQ(compute_norms_in_convolutions(&graph), 0) << "joined twice";
}

TEST_F(CompactGradients, AreThoseOfStrided1x1Convolutions) {
  expect_compact(residual(), 2);
  if (has_pairs()) expect_compact(residual(tf::DT_BFLOAT16), 2);
  tf::GraphDef graph = residual();
  set_attr(&graph, "shortcut", "strides", std::vector<int64_t>{1, 3, 3, 1});
  set_attr(&graph, "shortcut", "padding", "VALID");
  expect_compact(graph, 3);
  graph = residual();
  find(&graph, "norm")->mutable_input()->SwapElements(0, 1);
  expect_compact(graph, 2);
  graph = residual();
  for (const char* name : {"norm", "grad", "shortcut"}) find(&graph, name)->set_device("/device:CPU:1");
  expect_compact(graph, 2);
  // Ours of whole images.
  graph = residual();
  tf::NodeDef* ours = find(&graph, "shortcut");
  ours->set_op("MoxConvolutionInputGradient");
  ours->clear_attr();
  set_attr(&graph, "shortcut", "T", tf::DT_FLOAT);
  set_attr(&graph, "shortcut", "stride", 2);
  set_attr(&graph, "shortcut", "padding", "SAME");
  expect_compact(graph, 2);
}

TEST_F(CompactGradients, WaitForWhatTheWholeOnesDo) {
  tf::GraphDef graph = residual();
  NodeMaker(&graph, "before", "NoOp");
  find(&graph, "shortcut")->add_input("^before");
  expect_compact(graph, 2, {"^before"});
}

// fuse_batch_norm leaves the sum of both behind, which nobody runs.
TEST_F(CompactGradients, AreReadByWhatWasLeftBehindAsWell) {
  tf::GraphDef graph = residual();
  NodeMaker(&graph, "sum", "AddN").input("grad").input("shortcut").attr("T", tf::DT_FLOAT).attr("N", 2);
  set_attr(&graph, "sum", "_mox_joined", "MOX_FUSE_BATCH_NORM");
  expect_compact(graph, 2);
}

TEST_F(CompactGradients, AreNoOthers) {
  const std::vector<std::pair<const char*, Edit>> others = {
      {"read by somebody else",
       [](tf::GraphDef* g) { NodeMaker(g, "other", "Identity").input("shortcut").attr("T", tf::DT_FLOAT); }},
      {"waited for", [](tf::GraphDef* g) { NodeMaker(g, "other", "NoOp").control("shortcut"); }},
      {"another device", [](tf::GraphDef* g) { find(g, "shortcut")->set_device("/device:CPU:1"); }},
      {"3x3",
       [](tf::GraphDef* g) {
         set_filter(g, "w2", {3, 3, 16, 48});
       }},
      {"1x3",
       [](tf::GraphDef* g) {
         set_filter(g, "w2", {1, 3, 16, 48});
       }},
      {"3x1",
       [](tf::GraphDef* g) {
         set_filter(g, "w2", {3, 1, 16, 48});
       }},
      {"a filter that is not known", [](tf::GraphDef* g) { find(g, "shortcut")->set_input(1, "x"); }},
      {"in groups",
       [](tf::GraphDef* g) {
         set_filter(g, "w2", {1, 1, 8, 48});
       }},
      {"few filters",
       [](tf::GraphDef* g) {
         set_filter(g, "w2", {1, 1, 16, 8});
       }},
      {"one stride",
       [](tf::GraphDef* g) {
         set_attr(g, "shortcut", "strides", std::vector<int64_t>{1, 1, 1, 1});
       }},
      {"two strides",
       [](tf::GraphDef* g) {
         set_attr(g, "shortcut", "strides", std::vector<int64_t>{1, 2, 1, 1});
       }},
      {"channels first",
       [](tf::GraphDef* g) {
         set_attr(g, "shortcut", "data_format", "NCHW");
         set_attr(g, "shortcut", "strides", std::vector<int64_t>{1, 1, 2, 2});
       }},
      {"dilated",
       [](tf::GraphDef* g) {
         set_attr(g, "shortcut", "dilations", std::vector<int64_t>{1, 2, 2, 1});
       }},
      {"explicit padding", [](tf::GraphDef* g) { set_attr(g, "shortcut", "padding", "EXPLICIT"); }},
      {"another type", [](tf::GraphDef* g) { set_attr(g, "shortcut", "T", tf::DT_BFLOAT16); }},
      {"another operation", [](tf::GraphDef* g) { find(g, "shortcut")->set_op("Conv2D"); }},
      {"its name is taken", [](tf::GraphDef* g) { NodeMaker(g, "shortcut/compact", "NoOp"); }}};
  for (const auto& [name, edit] : others) {
    tf::GraphDef graph = residual();
    edit(&graph);
    const int nodes = graph.node_size();
    const std::string before = find(&graph, "shortcut")->DebugString();
    EXPECT_EQ(compute_norms_in_convolutions(&graph), 1) << name;
    Inputs wanted = kJoined;
    wanted[2] = "shortcut";
    EXPECT_EQ(inputs_of(&graph, "norm"), wanted) << name;
    EXPECT_FALSE(find(&graph, "norm")->attr().contains("more_stride")) << name;
    EXPECT_EQ(find(&graph, "shortcut")->DebugString(), before) << name;
    EXPECT_EQ(graph.node_size(), nodes) << name;
  }
}

// Where the other gradient is not computed with the norm's, nobody would add to the rows.
TEST_F(CompactGradients, GoWithTheGradientOfA1x1ConvolutionAlone) {
  const std::vector<std::pair<const char*, Edit>> others = {
      {"depthwise",
       [](tf::GraphDef* g) {
         find(g, "grad")->set_op("MoxDepthwiseConvolutionInputGradient");
         set_filter(g, "w", {3, 3, 16, 1});
       }},
      {"no convolution's", [](tf::GraphDef* g) { find(g, "norm")->set_input(0, "dy"); }},
      {"read by others", [](tf::GraphDef* g) { NodeMaker(g, "other", "NoOp").control("grad"); }},
      {"TensorFlow's norm", [](tf::GraphDef* g) { find(g, "norm")->set_op("FusedBatchNormGradV3"); }}};
  for (const auto& [name, edit] : others) {
    tf::GraphDef graph = residual();
    edit(&graph);
    compute_norms_in_convolutions(&graph);
    EXPECT_FALSE(has_node(graph, "shortcut/compact")) << name;
    EXPECT_EQ(joined_by(*find(&graph, "shortcut")), "") << name;
    const Inputs inputs = inputs_of(&graph, "norm");
    EXPECT_EQ(std::ranges::count(inputs, "shortcut"), 1) << name;
  }
}

TEST_F(CompactGradients, AreNoneWhereTheEnvironmentSaysSo) {
  const Environment off(kSwitch, "0");
  tf::GraphDef graph = residual();
  const std::string before = graph.SerializeAsString();
  EXPECT_EQ(compute_norms_in_convolutions(&graph), 0);
  EXPECT_EQ(graph.SerializeAsString(), before);
}

}  // namespace
}  // namespace mox
