// Which Pads and Slices go into convolutions, and what is left of the graph.
#include "passes/explicit_padding.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "graph/built_graph.h"
#include "graph/graph_session.h"
#include "moxing/moxing.h"
#include "passes/fast_convolutions.h"
#include "passes/joined.h"
#include "passes/norm_graphs.h"
#include "passes/passes.h"
#include "passes/processor.h"
#include "tensorflow/cc/framework/gradients.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace mox {
namespace {

namespace ops = tensorflow::ops;
using namespace testing;
using tf::Output;
using Numbers = std::vector<int64_t>;

constexpr char kSwitch[] = "MOX_FAST_CONVOLUTIONS";

class ExplicitPadding : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!has_vectors()) GTEST_SKIP() << "this processor has no AVX2";
  }
};

struct Layer {
  std::vector<int64_t> filter = {3, 3, 16, 32};
  int stride = 2;
  std::vector<int> paddings = {1, 1, 1, 1};  // above, below, left and right
  tf::DataType type = tf::DT_FLOAT;
  std::string padding = "VALID";  // of the convolution
  bool of_image = true;           // whether the gradient by x is asked for
};

// "conv" of "pad" of "x" with the variable "w"; "dx" and "dw" read the gradients.
tf::GraphDef padded(const Layer& layer) {
  const Scope s = Scope::new_root();
  const tf::TensorShape shape{2, 9, 12, layer.filter[2]};
  const auto x =
      ops::Cast(s.WithOpName("x"), ops::Const(s, tf::Input::Initializer(random_tensor(shape, 1))), layer.type);
  const auto w = ops::Cast(s.WithOpName("w/T"), s.get_variable("w", tf::TensorShape(layer.filter)), layer.type);
  const auto& p = layer.paddings;
  tf::Tensor paddings(tf::DT_INT32, {4, 2});
  const int all[] = {0, 0, p[0], p[1], p[2], p[3], 0, 0};
  std::copy(std::begin(all), std::end(all), paddings.flat<int32_t>().data());
  const auto pad = ops::Pad(s.WithOpName("pad"), x, ops::Const(s.WithOpName("paddings"), paddings));
  const auto y = ops::Conv2D(s.WithOpName("conv"), pad, w, {1, layer.stride, layer.stride, 1}, layer.padding);
  std::vector<Output> gradients;
  TF_CHECK_OK(tf::AddSymbolicGradients(s, {ops::Mul(s, y, y)}, {x, w}, &gradients));
  if (layer.of_image) ops::Identity(s.WithOpName("dx"), gradients[0]);
  ops::Identity(s.WithOpName("dw"), gradients[1]);
  check(s, "test");
  tf::GraphDef graph;
  s.graph()->ToGraphDef(&graph);
  return graph;
}

std::string node_name(const std::string& tensor) { return tensor.substr(0, tensor.find(':')); }

std::string add_constant(tf::GraphDef* graph, const std::string& name, const std::vector<int>& values) {
  tf::Tensor tensor(tf::DT_INT32, {static_cast<int64_t>(values.size())});
  std::copy(values.begin(), values.end(), tensor.flat<int32_t>().data());
  return NodeMaker(graph, name, "Const").attr("dtype", tf::DT_INT32).attr("value", tensor).name();
}

tf::NodeDef* find_kind(tf::GraphDef* graph, const std::string& op) {
  for (tf::NodeDef& node : *graph->mutable_node())
    if (node.op() == op) return &node;
  ADD_FAILURE() << "no " << op;
  return graph->mutable_node(0);
}

Numbers paddings_of(const tf::NodeDef& node) {
  EXPECT_EQ(node.attr().at("padding").s(), "EXPLICIT") << node.name();
  const auto& list = node.attr().at("explicit_paddings").list().i();
  return {list.begin(), list.end()};
}

// What a session gives of both graphs with the same filter.
void expect_same_numbers(const tf::GraphDef& before, const tf::GraphDef& after, const std::vector<std::string>& fetches,
                         double tolerance = 1e-5) {
  std::vector<tf::Tensor> results[2];
  for (const tf::GraphDef* graph : {&before, &after}) {
    const std::unique_ptr<tf::Session> session(tf::NewSession({}));
    TF_CHECK_OK(session->Create(*graph));
    const Numbers shape = [&] {
      for (const tf::NodeDef& node : graph->node())
        if (node.name() == "w") {
          Numbers sizes;
          for (const auto& dim : node.attr().at("shape").shape().dim()) sizes.push_back(dim.size());
          return sizes;
        }
      return Numbers{};
    }();
    TF_CHECK_OK(
        session->Run({{"w/read", random_tensor(tf::TensorShape(shape), 5)}}, fetches, {}, &results[graph == &after]));
  }
  for (size_t i = 0; i < fetches.size(); ++i) {
    EXPECT_EQ(results[0][i].shape(), results[1][i].shape()) << fetches[i];
    EXPECT_LE(relative_difference(results[1][i], results[0][i]), tolerance) << fetches[i];
    EXPECT_GT(max_abs(results[0][i]), 0) << fetches[i];
  }
}

TEST_F(ExplicitPadding, TakesThePadAndItsGradient) {
  for (const Layer& layer : std::vector<Layer>{{},
                                               {{3, 3, 16, 32}, 3, {0, 2, 1, 0}},
                                               {{5, 7, 19, 32}, 2, {4, 3, 0, 6}},
                                               {{3, 3, 32, 32}, 1, {1, 1, 2, 0}}}) {
    const tf::GraphDef before = padded(layer);
    tf::GraphDef graph = before;
    const std::string slice = inputs_of(&graph, "dx")[0], gradient = inputs_of(&graph, slice)[0];
    EXPECT_EQ(pad_in_convolutions(&graph), 2);
    const auto& p = layer.paddings;
    const Numbers wanted{0, 0, p[0], p[1], p[2], p[3], 0, 0};
    EXPECT_EQ(paddings_of(*find(&graph, "conv")), wanted);
    EXPECT_EQ(inputs_of(&graph, "conv")[0], "x");
    const tf::NodeDef& of_filter = *find_kind(&graph, "Conv2DBackpropFilter");
    EXPECT_EQ(paddings_of(of_filter), wanted);
    EXPECT_EQ(of_filter.input(0), "x");
    const tf::NodeDef& of_image = *find(&graph, slice);
    EXPECT_EQ(of_image.op(), "Conv2DBackpropInput");
    EXPECT_EQ(paddings_of(of_image), wanted);
    EXPECT_EQ(inputs_of(&graph, node_name(of_image.input(0)))[0], "x") << "whose sizes it has";
    // For who asks for them by name; who feeds one is told so.
    for (const std::string& name : {std::string("pad"), gradient})
      EXPECT_EQ(joined_by(*find(&graph, name)), kSwitch) << name;
    EXPECT_EQ(pad_in_convolutions(&graph), 0) << "taken twice";
    EXPECT_GE(make_convolutions_fast(&graph), 2);
    expect_same_numbers(before, graph, {"conv", "dx", "dw", "pad", gradient});
  }
}

TEST_F(ExplicitPadding, TakesBfloat16WhereThereArePairs) {
  const Layer layer{.type = tf::DT_BFLOAT16};
  tf::GraphDef graph = padded(layer);
  const std::string before = graph.SerializeAsString();
  const bool ours = has_pairs() && !has_matrices();
  EXPECT_EQ(pad_in_convolutions(&graph), ours ? 2 : 0);
  if (!ours) EXPECT_EQ(graph.SerializeAsString(), before) << "TensorFlow's gradients with such paddings are slow";
}

// The first layer: its image's gradient, which C++'s gradients have all the same, is read by nobody.
TEST_F(ExplicitPadding, TakesThePadOfAnImage) {
  const Layer layer{.filter = {7, 7, 3, 64}, .paddings = {3, 3, 3, 3}, .of_image = false};
  const tf::GraphDef before = padded(layer);
  tf::GraphDef graph = before;
  EXPECT_EQ(pad_in_convolutions(&graph), 1);
  EXPECT_EQ(inputs_of(&graph, "conv")[0], "x");
  make_convolutions_fast(&graph);
  expect_same_numbers(before, graph, {"conv", "dw", "pad"});
}

// conv2d_same of 1x1 filters pads by nothing.
TEST_F(ExplicitPadding, LeavesOutWhatPadsByNothing) {
  const Layer layer{.filter = {1, 1, 16, 32}, .paddings = {0, 0, 0, 0}};
  const tf::GraphDef before = padded(layer);
  tf::GraphDef graph = before;
  EXPECT_EQ(pad_in_convolutions(&graph), 2);
  EXPECT_EQ(find(&graph, "conv")->attr().at("padding").s(), "VALID");
  EXPECT_EQ(inputs_of(&graph, "conv")[0], "x");
  make_convolutions_fast(&graph);
  expect_same_numbers(before, graph, {"conv", "dx", "dw"});
}

// As Python's gradients have it: one ShapeN of the image and the filter; of known sizes, constants.
TEST_F(ExplicitPadding, TakesWhatPythonsGradientsMake) {
  tf::GraphDef before = padded({});
  NodeMaker(&before, "shapes", "ShapeN")
      .input("pad")
      .input("w/T")
      .attr("N", 2)
      .attr("T", tf::DT_FLOAT)
      .attr("out_type", tf::DT_INT32);
  find_kind(&before, "Conv2DBackpropInput")->set_input(0, "shapes");
  find_kind(&before, "Conv2DBackpropFilter")->set_input(1, "shapes:1");
  tf::GraphDef graph = before;
  EXPECT_EQ(pad_in_convolutions(&graph), 2);
  EXPECT_EQ(inputs_of(&graph, "conv")[0], "x");
  for (const tf::NodeDef& node : graph.node())
    if (node.op() == "Conv2DBackpropFilter") EXPECT_NE(node_name(node.input(1)), "shapes") << "which reads the Pad";
  expect_same_numbers(before, graph, {"conv", "dx", "dw"});
  // The image's sizes a constant, which are those that it has.
  for (const int height : {8, 9}) {
    tf::GraphDef known = before;
    find(&known, inputs_of(&known, "dx")[0])->set_input(2, add_constant(&known, "size", {2, height, 12, 16}));
    graph = known;
    EXPECT_EQ(pad_in_convolutions(&graph), height == 9 ? 2 : 0);
    expect_same_numbers(known, graph, {"conv", "dx", "dw"});
  }

  before = padded({.paddings = {1, 0, 2, 1}});
  const std::string slice = inputs_of(&before, "dx")[0];
  find(&before, slice)->set_input(1, add_constant(&before, "begin", {0, 1, 2, 0}));
  find(&before, slice)->set_input(2, add_constant(&before, "size", {2, 9, 12, 16}));
  find_kind(&before, "Conv2DBackpropInput")->set_input(0, add_constant(&before, "padded_size", {2, 10, 15, 16}));
  graph = before;
  EXPECT_EQ(pad_in_convolutions(&graph), 2);
  EXPECT_EQ(paddings_of(*find(&graph, slice)), (Numbers{0, 0, 1, 0, 2, 1, 0, 0}));
  expect_same_numbers(before, graph, {"conv", "dx", "dw"});
}

struct Other {
  std::string name;
  Layer layer;
  Edit edit;
  int taken = 0;
};

void set_paddings(tf::GraphDef* graph, std::vector<int> values) {
  tf::Tensor tensor(tf::DT_INT32, {4, 2});
  std::copy(values.begin(), values.end(), tensor.flat<int32_t>().data());
  set_attr(graph, "paddings", "value", tensor);
}

TEST_F(ExplicitPadding, OthersStay) {
  const auto reader = [](tf::GraphDef* g) { NodeMaker(g, "other", "Identity").input("pad").attr("T", tf::DT_FLOAT); };
  const auto slice_of = [](tf::GraphDef* g) { return find(g, inputs_of(g, "dx")[0]); };
  const std::vector<Other> others = {
      {"the Pad is read by others", {}, reader, 1},
      {"who waits for the Pad", {}, [](tf::GraphDef* g) { NodeMaker(g, "other", "NoOp").control("pad"); }, 1},
      {"its size is read by others",
       {},
       [](tf::GraphDef* g) {
         NodeMaker(g, "size", "Shape").input("pad").attr("T", tf::DT_FLOAT);
         NodeMaker(g, "other", "Identity").input("size").attr("T", tf::DT_INT32);
       },
       1},
      {"its gradient is read by others",
       {},
       [](tf::GraphDef* g) {
         NodeMaker(g, "other", "Identity").input(find_kind(g, "Conv2DBackpropInput")->name()).attr("T", tf::DT_FLOAT);
       }},
      {"two convolutions",
       {},
       [](tf::GraphDef* g) {
         tf::NodeDef again = *find(g, "conv");
         again.set_name("again");
         *g->add_node() = again;
       },
       1},
      {"other constants than 0",
       {},
       [](tf::GraphDef* g) {
         find(g, "pad")->set_op("PadV2");
         NodeMaker(g, "one", "Const").attr("dtype", tf::DT_FLOAT).attr("value", tf::Tensor(1.f));
         find(g, "pad")->add_input("one");
       }},
      {"a mirrored border", {}, [](tf::GraphDef* g) { find(g, "pad")->set_op("MirrorPad"); }},
      {"channels",
       {},
       [](tf::GraphDef* g) {
         set_paddings(g, {0, 0, 1, 1, 1, 1, 0, 8});
       }},
      {"images",
       {},
       [](tf::GraphDef* g) {
         set_paddings(g, {1, 0, 1, 1, 1, 1, 0, 0});
       }},
      {"negative",
       {},
       [](tf::GraphDef* g) {
         set_paddings(g, {0, 0, -1, 1, 1, 1, 0, 0});
       }},
      {"not known before a step",
       {},
       [](tf::GraphDef* g) {
         find(g, "paddings")->clear_attr();
         find(g, "paddings")->set_op("Placeholder");
         set_attr(g, "paddings", "dtype", tf::DT_INT32);
       }},
      {"as wide as the filter", {.paddings = {1, 1, 3, 0}}, {}},
      {"the convolution pads as well", {.padding = "SAME"}, {}},
      {"few channels", {.filter = {7, 1, 15, 24}}, {}},
      {"float16", {.type = tf::DT_HALF}, {}},
      {"float64", {.type = tf::DT_DOUBLE}, {}},
      {"dilated",
       {},
       [](tf::GraphDef* g) {
         for (tf::NodeDef& node : *g->mutable_node())
           if (node.op().rfind("Conv2D", 0) == 0) set_attr(g, node.name(), "dilations", Numbers{1, 2, 2, 1});
       }},
      {"another device",
       {},
       [](tf::GraphDef* g) {
         for (tf::NodeDef& node : *g->mutable_node())
           if (node.op().rfind("Conv2D", 0) == 0) node.set_device("/device:CPU:1");
       }},
      {"a Slice of something else",
       {},
       [=](tf::GraphDef* g) {
         slice_of(g)->set_input(1, add_constant(g, "begin", {0, 0, 1, 0}));
       }},
      {"a Slice of another size", {}, [=](tf::GraphDef* g) {
         slice_of(g)->set_input(2, add_constant(g, "size", {2, 8, 12, 16}));
       }}};
  for (const Other& other : others) {
    tf::GraphDef graph = padded(other.layer);
    if (other.edit) other.edit(&graph);
    const std::string before = graph.SerializeAsString();
    EXPECT_EQ(pad_in_convolutions(&graph), other.taken) << other.name;
    if (other.taken == 0) EXPECT_EQ(graph.SerializeAsString(), before) << other.name;
    EXPECT_EQ(inputs_of(&graph, "conv")[0], "pad") << other.name;
    EXPECT_EQ(joined_by(*find(&graph, "pad")), "") << other.name;
  }
  const Environment off(kSwitch, "0");
  tf::GraphDef graph = padded({});
  const std::string before = graph.SerializeAsString();
  EXPECT_EQ(pad_in_convolutions(&graph), 0);
  EXPECT_EQ(graph.SerializeAsString(), before);
}

// Of constant sizes to its end, as -1 says it.
TEST_F(ExplicitPadding, ASliceToTheEndStays) {
  tf::GraphDef graph = padded({});
  tf::NodeDef* slice = find(&graph, inputs_of(&graph, "dx")[0]);
  slice->set_input(1, add_constant(&graph, "begin", {0, 1, 1, 0}));
  slice->set_input(2, add_constant(&graph, "size", {2, -1, -1, 16}));
  find_kind(&graph, "Conv2DBackpropInput")->set_input(0, add_constant(&graph, "sizes", {2, 11, 14, 16}));
  pad_in_convolutions(&graph);
  EXPECT_EQ(find(&graph, inputs_of(&graph, "dx")[0])->op(), "Slice");
  EXPECT_EQ(joined_by(*find_kind(&graph, "Conv2DBackpropInput")), "");
}

// Fed, it would be ignored: passes that follow let it keep its mark, by which it is refused.
TEST_F(ExplicitPadding, TheGradientThatWasLeftBehindStaysSo) {
  tf::GraphDef graph = padded({});
  const std::string whole = find_kind(&graph, "Conv2DBackpropInput")->name();
  ASSERT_GT(pad_in_convolutions(&graph), 0);
  EXPECT_EQ(make_convolutions_fast(&graph), 2);  // both gradients
  EXPECT_EQ(find(&graph, whole)->op(), "Conv2DBackpropInput");
  EXPECT_EQ(joined_by(*find(&graph, whole)), kSwitch);
}

// What the nodes that go waited for, the others wait for.
TEST_F(ExplicitPadding, WaitsForWhatWasWaitedFor) {
  tf::GraphDef graph = padded({});
  const std::string slice = inputs_of(&graph, "dx")[0], gradient = inputs_of(&graph, slice)[0];
  for (const char* name : {"before_pad", "before_gradient", "before_slice"}) NodeMaker(&graph, name, "NoOp");
  find(&graph, "pad")->add_input("^before_pad");
  find(&graph, gradient)->add_input("^before_gradient");
  find(&graph, slice)->add_input("^before_slice");
  EXPECT_EQ(pad_in_convolutions(&graph), 2);
  const auto waits = [&](const std::string& name, const std::string& input) {
    const Inputs inputs = inputs_of(&graph, name);
    return std::ranges::count(inputs, input) == 1;
  };
  EXPECT_TRUE(waits("conv", "^before_pad"));
  EXPECT_TRUE(waits(find_kind(&graph, "Conv2DBackpropFilter")->name(), "^before_pad"));
  EXPECT_TRUE(waits(slice, "^before_gradient"));
  EXPECT_TRUE(waits(slice, "^before_slice"));
}

// By the list of passes: in a training on CPUs alone.
TEST_F(ExplicitPadding, IsOneOfTheTrainingsPasses) {
  for (const ModeKeys mode : {ModeKeys::TRAIN, ModeKeys::EVAL}) {
    BuiltGraph built;
    built.mode = mode;
    built.towers.resize(1);
    built.graph = padded({});
    run_passes(&built, {});
    EXPECT_EQ(inputs_of(&built.graph, "conv")[0], mode == ModeKeys::TRAIN ? "x" : "pad");
  }
}

}  // namespace
}  // namespace mox
