// Which statistics and gradients of batch norm the pass moves into convolutions, and what it leaves of the graph.
#include "passes/norm_in_convolutions.h"

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

void add_moments(tf::GraphDef* graph, const std::string& name, const std::string& of) {
  NodeMaker(graph, name, "MoxMoments").input(of).attr("T", tf::DT_FLOAT);
}

// "conv" of "x" and "w", its "moments" and who reads these: "mean", "unbiased", "variance", and "after", which waits.
tf::GraphDef forward(const char* op = "MoxConvolution", const tf::TensorShape& filter = {1, 1, 16, 32}) {
  tf::GraphDef graph;
  // Before what it reads, too: a graph is in no order.
  NodeMaker(&graph, "mean", "Identity").input("moments").attr("T", tf::DT_FLOAT);
  add_filter(&graph, "w", filter);
  NodeMaker(&graph, "x", "Placeholder").attr("dtype", tf::DT_FLOAT);
  NodeMaker(&graph, "conv", op)
      .input("x")
      .input("w/read")
      .attr("T", tf::DT_FLOAT)
      .attr("num_bias", 0)
      .attr("stride", 1)
      .attr("padding", "SAME")
      .attr("activation", "");
  add_moments(&graph, "moments", "conv");
  NodeMaker(&graph, "unbiased", "Identity").input("moments:1").attr("T", tf::DT_FLOAT);
  NodeMaker(&graph, "variance", "Identity").input("moments:2").attr("T", tf::DT_FLOAT);
  NodeMaker(&graph, "after", "NoOp").control("moments");
  return graph;
}

void expect_moments_moved(tf::GraphDef graph) {
  EXPECT_EQ(compute_norms_in_convolutions(&graph), 1);
  EXPECT_EQ(find(&graph, "conv")->attr().at("num_moments").i(), 3);
  EXPECT_EQ(inputs_of(&graph, "mean"), Inputs{"conv:1"});
  EXPECT_EQ(inputs_of(&graph, "unbiased"), Inputs{"conv:2"});
  EXPECT_EQ(inputs_of(&graph, "variance"), Inputs{"conv:3"});
  EXPECT_EQ(inputs_of(&graph, "after"), Inputs{"^conv"});
  // For who asks for it by name.
  EXPECT_EQ(find(&graph, "moments")->op(), "MoxMoments");
  EXPECT_EQ(inputs_of(&graph, "moments"), Inputs{"conv"});
  EXPECT_EQ(joined_by(*find(&graph, "moments")), kSwitch);
  EXPECT_EQ(joined_by(*find(&graph, "conv")), kSwitch);
  EXPECT_EQ(compute_norms_in_convolutions(&graph), 0) << "moved twice";
}

void expect_stays(tf::GraphDef graph, const std::string& what) {
  const std::string before = graph.SerializeAsString();
  EXPECT_EQ(compute_norms_in_convolutions(&graph), 0) << what;
  EXPECT_EQ(graph.SerializeAsString(), before) << what;
}

TEST(NormInConvolutions, MovesStatistics) {
  expect_moments_moved(forward());
  for (const int64_t size : {3, 5}) expect_moments_moved(forward("MoxDepthwiseConvolution", {size, size, 16, 1}));
  tf::GraphDef strided = forward();
  set_attr(&strided, "conv", "stride", 2);
  expect_moments_moved(strided);
  tf::GraphDef elsewhere = forward();
  for (const char* name : {"conv", "moments"}) find(&elsewhere, name)->set_device("/device:CPU:1");
  expect_moments_moved(elsewhere);
  // The convolution itself may wait for something, and others may read what it gives.
  tf::GraphDef waiting = forward();
  NodeMaker(&waiting, "before", "NoOp");
  find(&waiting, "conv")->add_input("^before");
  NodeMaker(&waiting, "y", "Identity").input("conv").attr("T", tf::DT_FLOAT);
  expect_moments_moved(waiting);
}

TEST(NormInConvolutions, KeepsOfAReaderWhatIsNoStatistic) {
  tf::GraphDef graph = forward();
  NodeMaker(&graph, "normalize", "MoxNormalize").input("conv").input("moments").input("moments:2").input("w/read");
  EXPECT_EQ(compute_norms_in_convolutions(&graph), 1);
  EXPECT_EQ(inputs_of(&graph, "normalize"), (Inputs{"conv", "conv:1", "conv:3", "w/read"}));
}

// Several batch norms of one image, and several images.
TEST(NormInConvolutions, MovesAllStatisticsOfAConvolution) {
  tf::GraphDef graph = forward();
  add_moments(&graph, "again", "conv:0");
  NodeMaker(&graph, "other_mean", "Identity").input("again:0").attr("T", tf::DT_FLOAT);
  add_moments(&graph, "of_x", "x");
  NodeMaker(&graph, "mean_of_x", "Identity").input("of_x").attr("T", tf::DT_FLOAT);
  EXPECT_EQ(compute_norms_in_convolutions(&graph), 2);
  EXPECT_EQ(inputs_of(&graph, "mean"), Inputs{"conv:1"});
  EXPECT_EQ(inputs_of(&graph, "other_mean"), Inputs{"conv:1"});
  EXPECT_EQ(inputs_of(&graph, "mean_of_x"), Inputs{"of_x"});
}

TEST(NormInConvolutions, LeavesOtherStatistics) {
  const std::vector<std::pair<const char*, Edit>> others = {
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
      {"a filter that is not known", [](tf::GraphDef* g) { *find(g, "conv")->mutable_input(1) = "x"; }},
      {"a bias",
       [](tf::GraphDef* g) {
         find(g, "conv")->add_input("x");
         set_attr(g, "conv", "num_bias", 1);
       }},
      {"TensorFlow's", [](tf::GraphDef* g) { find(g, "conv")->set_op("Conv2D"); }},
      {"in groups", [](tf::GraphDef* g) { find(g, "conv")->set_op("MoxGroupedConvolution"); }},
      {"another device", [](tf::GraphDef* g) { find(g, "moments")->set_device("/device:CPU:1"); }},
      {"waits",
       [](tf::GraphDef* g) {
         NodeMaker(g, "before", "NoOp");
         find(g, "moments")->add_input("^before");
       }},
      {"of no first output", [](tf::GraphDef* g) { *find(g, "moments")->mutable_input(0) = "conv:1"; }},
      {"of nothing in the graph", [](tf::GraphDef* g) { *find(g, "moments")->mutable_input(0) = "missing"; }},
      {"not read",
       [](tf::GraphDef* g) {
         for (const char* name : {"mean", "unbiased", "variance", "after"}) find(g, name)->clear_input();
       }},
      {"other statistics", [](tf::GraphDef* g) { find(g, "moments")->set_op("Moments"); }}};
  for (const auto& [name, edit] : others) {
    tf::GraphDef graph = forward();
    edit(&graph);
    expect_stays(graph, name);
  }
}

// A second gradient of a convolution, "grad2", as the norm's second dy.
tf::GraphDef backward_of_two(int64_t filters) {
  tf::GraphDef graph = backward(true);
  add_filter(&graph, "w2", {1, 1, 16, filters});
  NodeMaker(&graph, "dz2", "Placeholder").attr("dtype", tf::DT_BFLOAT16);
  NodeMaker(&graph, "grad2", "MoxConvolutionInputGradient")
      .input("sizes")
      .input("w2/read")
      .input("dz2")
      .attr("T", tf::DT_BFLOAT16)
      .attr("stride", 1)
      .attr("padding", "VALID");
  *find(&graph, "norm")->mutable_input(1) = "grad2";
  return graph;
}

void expect_gradient_joined(tf::GraphDef* graph, const Inputs& inputs, const std::string& gradient = "grad") {
  const tf::NodeDef before = *find(graph, gradient);
  const bool depthwise = before.op() == "MoxDepthwiseConvolutionInputGradient";
  EXPECT_EQ(compute_norms_in_convolutions(graph), 1);
  const tf::NodeDef& norm = *find(graph, "norm");
  EXPECT_EQ(norm.op(), depthwise ? "MoxDepthwiseConvolutionNormalizeGrad" : "MoxConvolutionNormalizeGrad");
  for (const char* attr : {"stride", "padding"})
    EXPECT_EQ(norm.attr().at(attr).DebugString(), before.attr().at(attr).DebugString());
  EXPECT_EQ(inputs_of(graph, "norm"), inputs);
  EXPECT_EQ(inputs_of(graph, "dx"), Inputs{"norm"});
  // For who asks for it by name.
  tf::NodeDef left = *find(graph, gradient);
  EXPECT_EQ(joined_by(left), kSwitch);
  left.mutable_attr()->erase("_mox_joined");
  EXPECT_EQ(left.DebugString(), before.DebugString());
  EXPECT_EQ(compute_norms_in_convolutions(graph), 0) << "joined twice";
}

TEST(NormInConvolutions, JoinsGradients) {
  for (const bool more : {false, true})
    for (const bool side : {false, true}) {
      tf::GraphDef graph = backward(more, side);
      Inputs wanted = {"w/read", "dz"};
      if (more) wanted.push_back("dy");
      wanted.push_back("x");
      if (side) wanted.push_back("y");
      wanted.insert(wanted.end(), {"mean", "variance", "scale", "offset"});
      expect_gradient_joined(&graph, wanted);
      const auto& attr = find(&graph, "norm")->attr();
      EXPECT_EQ(attr.size(), 7u);  // one that the operation does not have would be an error
      EXPECT_EQ(attr.at("T").type(), tf::DT_BFLOAT16);
      EXPECT_EQ(attr.at("num_more").i(), more ? 1 : 0);
      EXPECT_EQ(attr.at("num_side").i(), side ? 1 : 0);
      EXPECT_EQ(attr.at("epsilon").f(), 0.25f);
      EXPECT_EQ(attr.at("activation").s(), "Relu6");
    }
}

TEST(NormInConvolutions, JoinsTheGradientThatIsAConvolutions) {
  tf::GraphDef graph = backward(true);
  find(&graph, "norm")->mutable_input()->SwapElements(0, 1);
  expect_gradient_joined(&graph, {"w/read", "dz", "dy", "x", "mean", "variance", "scale", "offset"});
  // The other one may be a norm's that follows, by another way.
  graph = backward(true);
  *find(&graph, "norm")->mutable_input(1) = "next:3";
  expect_gradient_joined(&graph, {"w/read", "dz", "next:3", "x", "mean", "variance", "scale", "offset"});
}

TEST(NormInConvolutions, JoinsTheGradientOfMoreFilters) {
  tf::GraphDef graph = backward_of_two(64);
  expect_gradient_joined(&graph, {"w2/read", "dz2", "grad", "x", "mean", "variance", "scale", "offset"}, "grad2");
  EXPECT_EQ(joined_by(*find(&graph, "grad")), "") << "which still is read";
  graph = backward_of_two(16);
  expect_gradient_joined(&graph, {"w/read", "dz", "grad2", "x", "mean", "variance", "scale", "offset"});
  // More, but that can not be taken.
  graph = backward_of_two(64);
  set_filter(&graph, "w2", {3, 3, 16, 64});
  expect_gradient_joined(&graph, {"w/read", "dz", "grad2", "x", "mean", "variance", "scale", "offset"});
}

// What a 1x1 convolution with a stride gives is mostly 0: the other one is taken, whichever is the larger. Of a 3x3
// filter with a stride it is not.
TEST(NormInConvolutions, JoinsTheGradientThatHasNoHoles) {
  for (const int64_t filters : {32, 128, 512}) {
    tf::GraphDef graph = backward_of_two(filters);
    set_attr(&graph, "grad2", "stride", 2);
    EXPECT_EQ(compute_norms_in_convolutions(&graph), 1);
    EXPECT_EQ(inputs_of(&graph, "norm")[0], "w/read") << filters;
  }
  tf::GraphDef graph = backward_of_two(32);
  set_attr(&graph, "grad2", "stride", 2);
  set_filter(&graph, "w2", {3, 3, 16, 32});  // nine products for four numbers
  expect_gradient_joined(&graph, {"w2/read", "dz2", "grad", "x", "mean", "variance", "scale", "offset"}, "grad2");
}

TEST(NormInConvolutions, JoinsStridedGradientsOfAllFilters) {
  for (const int64_t size : {1, 3, 7}) {
    tf::GraphDef graph = backward();
    set_filter(&graph, "w", {size, size, 16, 32});
    set_attr(&graph, "grad", "stride", 2);
    expect_gradient_joined(&graph, {"w/read", "dz", "x", "mean", "variance", "scale", "offset"});
    EXPECT_FALSE(find(&graph, "norm")->attr().contains("explicit_paddings"));
    graph = backward();
    set_filter(&graph, "w", {size, size, 16, 32});
    set_attr(&graph, "grad", "stride", 2);
    set_attr(&graph, "grad", "padding", "EXPLICIT");
    const std::vector<int64_t> paddings{0, 0, size - 1, 0, 0, size - 1, 0, 0};
    set_attr(&graph, "grad", "explicit_paddings", paddings);
    expect_gradient_joined(&graph, {"w/read", "dz", "x", "mean", "variance", "scale", "offset"});
    const auto& kept = find(&graph, "norm")->attr().at("explicit_paddings").list().i();
    EXPECT_EQ(std::vector<int64_t>(kept.begin(), kept.end()), paddings);
  }
}

// Of any size and stride.
TEST(NormInConvolutions, JoinsDepthwiseGradients) {
  const auto depthwise = [](tf::GraphDef graph, const std::string& gradient = "grad") {
    find(&graph, gradient)->set_op("MoxDepthwiseConvolutionInputGradient");
    return graph;
  };
  const Inputs wanted = {"w/read", "dz", "x", "mean", "variance", "scale", "offset"};
  for (const int64_t size : {3, 5, 7})
    for (const int stride : {1, 2})
      for (const char* padding : {"SAME", "VALID"}) {
        tf::GraphDef graph = depthwise(backward());
        set_filter(&graph, "w", {size, size, 16, 1});
        set_attr(&graph, "grad", "stride", stride);
        set_attr(&graph, "grad", "padding", padding);
        expect_gradient_joined(&graph, wanted);
      }
  tf::GraphDef unknown = depthwise(backward());
  find(&unknown, "grad")->set_input(1, "x");
  expect_gradient_joined(&unknown, {"x", "dz", "x", "mean", "variance", "scale", "offset"});
  // A 1x1 convolution's is the larger product.
  tf::GraphDef both = depthwise(backward_of_two(64));
  set_filter(&both, "w", {3, 3, 16, 1});
  expect_gradient_joined(&both, {"w2/read", "dz2", "grad", "x", "mean", "variance", "scale", "offset"}, "grad2");
  tf::GraphDef read = depthwise(backward());
  NodeMaker(&read, "other", "Identity").input("grad").attr("T", tf::DT_BFLOAT16);
  expect_stays(read, "read twice");
}

TEST(NormInConvolutions, KeepsControlInputs) {
  tf::GraphDef graph = backward(true);
  for (const char* name : {"a", "b", "c"}) NodeMaker(&graph, name, "NoOp");
  for (const char* name : {"^a", "^b"}) find(&graph, "norm")->add_input(name);
  for (const char* name : {"^b", "^c"}) find(&graph, "grad")->add_input(name);
  expect_gradient_joined(&graph, {"w/read", "dz", "dy", "x", "mean", "variance", "scale", "offset", "^a", "^b", "^c"});
}

// fuse_batch_norm leaves a ReLU's gradient, and a sum before it, that nobody runs: they are no readers.
void add_left_behind(tf::GraphDef* graph, bool sum) {
  if (sum) NodeMaker(graph, "sum", "AddN").input("grad").input("dy").attr("T", tf::DT_BFLOAT16).attr("N", 2);
  NodeMaker(graph, "relu_grad", "ReluGrad").input(sum ? "sum" : "grad").input("y").attr("T", tf::DT_BFLOAT16);
  set_attr(graph, "relu_grad", "_mox_joined", "MOX_FUSE_BATCH_NORM");
  if (sum) set_attr(graph, "sum", "_mox_joined", "MOX_FUSE_BATCH_NORM");
}

TEST(NormInConvolutions, JoinsWhatIsReadByWhatWasLeftBehind) {
  for (const bool sum : {false, true}) {
    tf::GraphDef graph = backward(true);
    add_left_behind(&graph, sum);
    expect_gradient_joined(&graph, {"w/read", "dz", "dy", "x", "mean", "variance", "scale", "offset"});
    for (const char* read : {"relu_grad", "^relu_grad"}) {  // by somebody
      graph = backward(true);
      add_left_behind(&graph, sum);
      NodeMaker(&graph, "reader", "Identity").input("x").input(read);
      expect_stays(graph, read);
    }
  }
  tf::GraphDef of_sum = backward(true);
  add_left_behind(&of_sum, true);
  NodeMaker(&of_sum, "reader", "Identity").input("sum");
  expect_stays(of_sum, "a sum that is read");
}

// The gradient of one convolution's input arrives at the norm whose gradient the next one's filter is multiplied with.
TEST(NormInConvolutions, JoinsChains) {
  tf::GraphDef graph = backward();
  add_filter(&graph, "w0", {1, 1, 8, 16});
  NodeMaker(&graph, "grad0", "MoxConvolutionInputGradient")
      .input("sizes")
      .input("w0/read")
      .input("norm")
      .attr("T", tf::DT_BFLOAT16)
      .attr("stride", 1)
      .attr("padding", "SAME");
  tf::NodeDef norm0 = *find(&graph, "norm");
  norm0.set_name("norm0");
  norm0.set_input(0, "grad0");
  *graph.add_node() = norm0;
  EXPECT_EQ(compute_norms_in_convolutions(&graph), 2);
  EXPECT_EQ(inputs_of(&graph, "norm"), (Inputs{"w/read", "dz", "x", "mean", "variance", "scale", "offset"}));
  EXPECT_EQ(inputs_of(&graph, "norm0"), (Inputs{"w0/read", "norm", "x", "mean", "variance", "scale", "offset"}));
}

TEST(NormInConvolutions, LeavesOtherGradients) {
  const std::vector<std::pair<const char*, Edit>> others = {
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
      {"a filter that is not known",
       [](tf::GraphDef* g) {
         *find(g, "grad")->mutable_input(1) = "x";
         set_attr(g, "grad", "stride", 2);
       }},
      {"another device", [](tf::GraphDef* g) { find(g, "grad")->set_device("/device:CPU:1"); }},
      {"read twice",
       [](tf::GraphDef* g) { NodeMaker(g, "other", "Identity").input("grad").attr("T", tf::DT_BFLOAT16); }},
      {"waited for", [](tf::GraphDef* g) { NodeMaker(g, "other", "NoOp").control("grad"); }},
      {"waited for by the norm itself", [](tf::GraphDef* g) { find(g, "norm")->add_input("^grad"); }},
      {"what was added is the gradient",  // not what arrives
       [](tf::GraphDef* g) {
         find(g, "norm")->set_input(0, "dy");
         find(g, "norm")->set_input(1, "grad");
       }},
      {"no first output", [](tf::GraphDef* g) { find(g, "norm")->set_input(0, "grad:1"); }},
      {"nothing in the graph", [](tf::GraphDef* g) { find(g, "norm")->set_input(0, "missing"); }},
      {"TensorFlow's", [](tf::GraphDef* g) { find(g, "grad")->set_op("Conv2DBackpropInput"); }},
      {"in groups", [](tf::GraphDef* g) { find(g, "grad")->set_op("MoxGroupedConvolutionInputGradient"); }},
      {"TensorFlow's norm", [](tf::GraphDef* g) { find(g, "norm")->set_op("FusedBatchNormGradV3"); }}};
  for (const auto& [name, edit] : others) {
    tf::GraphDef graph = backward();
    edit(&graph);
    expect_stays(graph, name);
  }
  tf::GraphDef twice = backward(true);  // g + g
  find(&twice, "norm")->set_input(1, "grad");
  expect_stays(twice, "both of what arrives");
}

TEST(NormInConvolutions, LeavesAllWhereTheEnvironmentSaysSo) {
  const Environment off(kSwitch, "0");
  expect_stays(forward(), "statistics");
  expect_stays(backward(), "gradient");
}

// By the list of passes: in a training on CPUs alone.
TEST(NormInConvolutions, IsOneOfTheTrainingsPasses) {
  for (const ModeKeys mode : {ModeKeys::TRAIN, ModeKeys::EVAL}) {
    BuiltGraph built;
    built.mode = mode;
    built.towers.resize(1);
    built.graph = forward();
    run_passes(&built, {});
    EXPECT_EQ(inputs_of(&built.graph, "mean"), Inputs{mode == ModeKeys::TRAIN ? "conv:1" : "moments"});
  }
}

}  // namespace
}  // namespace mox
