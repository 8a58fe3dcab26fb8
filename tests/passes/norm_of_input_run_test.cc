// The numbers of networks whose convolutions normalise what they read, against those of the same operations one by one,
// values and gradients.
#include <gtest/gtest.h>

#include <set>

#include "graph/built_graph.h"
#include "passes/joined.h"
#include "passes/norm_in_convolutions.h"
#include "passes/norm_layers.h"
#include "passes/norm_of_input.h"
#include "passes/passes.h"
#include "passes/processor.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace mox {
namespace {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;
using tensorflow::Output;
using namespace testing;

class NormOfInputRun : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::has_vectors()) GTEST_SKIP() << "this processor has no AVX2";
  }
};

// `given`: norms that nobody computes for itself, of a network for an image [n, h, w, 24].
struct Case {
  const char* name;
  int given;
  std::vector<int> y_shape;  // of {4, 9, 7, 24}; empty: the same
  Network network;
  int to_depthwise = 0;  // of these: in bfloat16 they stay
};

const std::vector<Case>& cases() {
  using S = const Scope&;
  using O = const Output&;
  static const auto* all = new std::vector<Case>{
      {"ReLU", 1, {}, [](S s, O x, O) { return conv(s, ops::Relu(s, norm(s, conv(s, x, 24, "a"), "n")), 24, "b"); }},
      {"ReLU6",
       1,
       {4, 9, 7, 40},
       [](S s, O x, O) { return conv(s, ops::Relu6(s, norm(s, conv(s, x, 64, "a"), "n", 8)), 40, "b"); }},
      {"no activation", 1, {}, [](S s, O x, O) { return conv(s, norm(s, conv(s, x, 34, "a"), "n"), 24, "b"); }},
      {"of no convolution",
       1,
       {},
       [](S s, O x, O side) { return conv(s, ops::Relu(s, norm(s, ops::Mul(s, x, side), "n")), 24, "b"); }},
      {"behind 3x3",
       1,
       {},
       [](S s, O x, O) { return conv(s, ops::Relu(s, norm(s, conv(s, x, 32, "a", 1, 3), "n")), 24, "b"); }},
      {"depthwise",
       1,
       {},
       [](S s, O x, O) { return depthwise(s, ops::Relu6(s, norm(s, conv(s, x, 24, "a"), "n", 8)), "b"); },
       1},
      {"depthwise with stride 2",
       1,
       {4, 5, 4, 24},
       [](S s, O x, O) { return depthwise(s, ops::Relu(s, norm(s, conv(s, x, 24, "a"), "n")), "b", 2); },
       1},
      {"several convolutions",
       1,
       {4, 9, 7, 88},
       [](S s, O x, O) -> Output {
         const Output y = ops::Relu(s, norm(s, conv(s, x, 24, "a"), "n"));
         return ops::Concat(s, {conv(s, y, 24, "b"), conv(s, y, 40, "bb"), depthwise(s, y, "bbb")}, 3);
       },
       1},
      // MobileNet v2's block, but for what is added.
      {"a chain",
       2,
       {4, 5, 4, 24},
       [](S s, O x, O) {
         Output y = ops::Relu6(s, norm(s, conv(s, x, 96, "a"), "n", 8));
         y = ops::Relu6(s, norm(s, depthwise(s, y, "b", 2), "nn", 8));
         return norm(s, conv(s, y, 24, "c"), "nnn");
       },
       1},
      {"3x3 behind it",
       0,
       {4, 9, 7, 32},
       [](S s, O x, O) { return conv(s, ops::Relu(s, norm(s, conv(s, x, 32, "a"), "n")), 32, "b", 1, 3); }},
      {"stride 2 behind it",
       0,
       {4, 5, 4, 24},
       [](S s, O x, O) { return conv(s, ops::Relu(s, norm(s, conv(s, x, 32, "a"), "n")), 24, "b", 2); }},
      {"another reader",
       0,
       {},
       [](S s, O x, O) -> Output {
         const Output y = ops::Relu(s, norm(s, conv(s, x, 24, "a"), "n"));
         return ops::AddV2(s, conv(s, y, 24, "b"), ops::Tanh(s, y));
       }},
      {"a residual", 0, {}, [](S s, O x, O side) {
         return conv(s, ops::Relu(s, ops::AddV2(s, norm(s, conv(s, x, 24, "a"), "n"), side)), 24, "b");
       }}};
  return *all;
}

// Bottlenecks of a residual network: of each the norm before the last convolution is given to it.
Output bottlenecks(const Scope& s, const Output& x, const Output& side) {
  Output y = ops::Relu(s, norm(s, conv(s, x, 64, "first"), "first_norm"));
  for (const std::string block : {"i", "ii", "iii"}) {
    Output inner = ops::Relu(s, norm(s, conv(s, y, 16, block + "a"), block + "norm_a"));
    inner = ops::Relu(s, norm(s, conv(s, inner, 16, block + "b", 1, 3), block + "norm_b"));
    y = ops::Relu(s, ops::AddV2(s, norm(s, conv(s, inner, 64, block + "c"), block + "norm_c"), y));
  }
  return ops::AddV2(s, conv(s, y, 24, "last"), side);
}

std::vector<tf::Tensor> expect_same(Model model, int given, double tolerance, const std::string& name) {
  take(&model);
  const std::vector<tf::Tensor> before = testing::run(model);
  Model alone = model;
  EXPECT_EQ(normalize_where_read(&alone.graph), given) << name;
  const std::vector<tf::Tensor> after = testing::run(alone);
  for (size_t i = 0; i < before.size(); ++i)
    EXPECT_LE(distance(before[i], after[i]), tolerance) << name << ": " << model.fetches[i];
  // With its neighbour, in the order of the passes.
  compute_norms_in_convolutions(&model.graph);
  EXPECT_EQ(normalize_where_read(&model.graph), given) << name;
  return testing::run(model);
}

TEST_F(NormOfInputRun, SameNumbers) {
  for (const Case& c : cases()) {
    const Model model = model_of({4, 9, 7, 24}, tf::DT_FLOAT, c.network, c.y_shape);
    const std::vector<tf::Tensor> plain = testing::run(model),
                                  both = expect_same(model, c.given, 2e-6, c.name);  // but for a fused product
    for (size_t i = 0; i < plain.size(); ++i)
      EXPECT_LE(distance(plain[i], both[i]), 1e-4) << c.name << ": " << model.fetches[i];
  }
}

TEST_F(NormOfInputRun, SameNumbersOfBottlenecks) {
  const Model model = model_of({4, 8, 8, 24}, tf::DT_FLOAT, bottlenecks);
  const std::vector<tf::Tensor> plain = testing::run(model), both = expect_same(model, 3, 1e-5, "bottlenecks");
  for (size_t i = 0; i < plain.size(); ++i) EXPECT_LE(distance(plain[i], both[i]), 2e-4) << model.fetches[i];
}

// What is normalised is rounded as when somebody keeps it.
TEST_F(NormOfInputRun, Bfloat16) {
  Model first = model_of({4, 9, 7, 24}, tf::DT_BFLOAT16, cases()[0].network);
  take(&first);
  if (count_of(first.graph, "MoxConvolution") == 0) GTEST_SKIP() << "oneDNN's are faster here";
  for (const Case& c : cases()) {
    const std::vector<tf::Tensor> truth = testing::run(model_of({4, 9, 7, 24}, tf::DT_FLOAT, c.network, c.y_shape));
    Model model = model_of({4, 9, 7, 24}, tf::DT_BFLOAT16, c.network, c.y_shape);
    take(&model);
    const std::vector<tf::Tensor> separate = testing::run(model);
    compute_norms_in_convolutions(&model.graph);
    EXPECT_EQ(normalize_where_read(&model.graph), c.given - c.to_depthwise) << c.name;
    const std::vector<tf::Tensor> both = testing::run(model);
    for (size_t i = 0; i < truth.size(); ++i)
      EXPECT_LE(distance(truth[i], both[i]), std::max(0.006, 1.2 * distance(truth[i], separate[i])))
          << c.name << ": " << model.fetches[i];
  }
}

// Asked for by name in the same step, a norm that was given away is what it was.
TEST_F(NormOfInputRun, NamesStayForWhoAsks) {
  Model model = model_of({4, 9, 7, 24}, tf::DT_FLOAT, cases()[0].network);
  take(&model);
  for (const tf::NodeDef& node : model.graph.node())
    if (node.op() == "MoxNormalize") model.fetches.push_back(node.name());
  const std::vector<tf::Tensor> before = testing::run(model);
  EXPECT_EQ(normalize_where_read(&model.graph), 1);
  const std::vector<tf::Tensor> after = testing::run(model);
  EXPECT_EQ(before.back().tensor_data(), after.back().tensor_data());
}

// In a training, by the list of passes: the convolution and the gradient of its filter read the norm's scale and
// offset now. Their updates wait for both, or would copy them; and what these gave is of the values before.
TEST_F(NormOfInputRun, UpdatesWaitForTheReaders) {
  Scope s = Scope::new_root();
  const auto image = ops::Identity(s, ops::Const(s, tf::Input::Initializer(random_tensor({2, 8, 8, 32}, 1, -1, 1))));
  const auto gamma = s.get_variable("gamma", {32}, {.initializer = constant_initializer(1.25f)});
  const auto beta = s.get_variable("beta", {32}, {.initializer = constant_initializer(0.5f)});
  const auto filter = s.get_variable("filter", {1, 1, 32, 32}, {.initializer = weights(1)});
  const Output none = ops::Const(s, 0.f, {0});
  const auto normed = ops::FusedBatchNormV3(s.WithOpName("norm"), image, gamma, beta, none, none,
                                            ops::FusedBatchNormV3::Epsilon(1e-3f));
  const auto y =
      ops::Conv2D(s.WithOpName("conv"), ops::Relu(s.WithOpName("relu"), normed.y), filter, {1, 1, 1, 1}, "SAME");
  std::vector<Output> gradients;
  TF_CHECK_OK(tf::AddSymbolicGradients(s, {ops::L2Loss(s, y)}, {gamma, beta, filter}, &gradients));
  const auto update = [&](const std::string& name, const Output& read, const Output& gradient) {
    ops::ResourceApplyGradientDescent(s.WithOpName(name), read.op().input(0), 0.5f, gradient);
  };
  update("update_gamma", gamma, gradients[0]);
  update("update_beta", beta, gradients[1]);
  update("update_filter", filter, gradients[2]);
  ops::Identity(s.WithOpName("dfilter"), gradients[2]);
  check(s, "test");
  Model plain{.fetches = {"dfilter"}};
  for (const Variable& v : s.state().variables) plain.initializers.push_back(v.initializer.node()->name());
  s.graph()->ToGraphDef(&plain.graph);
  BuiltGraph built;
  built.towers.resize(1);
  built.graph = plain.graph;
  run_passes(&built, {});
  std::string reader;
  for (const tf::NodeDef& node : built.graph.node())
    if (node.op() == "MoxConvolutionFilterGradient" && node.attr().contains("num_norm")) reader = node.name();
  ASSERT_NE(reader, "") << "nothing is given: the test shows nothing";
  const auto waits = [&](const std::string& name) {
    std::set<std::string> all;
    for (const tf::NodeDef& node : built.graph.node())
      if (node.name() == name)
        for (const std::string& input : node.input())
          if (input[0] == '^') all.insert(input.substr(1));
    return all;
  };
  for (const char* name : {"update_gamma", "update_beta"}) {
    EXPECT_TRUE(waits(name).contains("conv")) << name;
    EXPECT_TRUE(waits(name).contains(reader)) << name;
    EXPECT_FALSE(waits(name).contains("relu")) << name << ": computed for it alone";
  }
  const tf::Tensor wanted = testing::run(plain)[0];
  const std::unique_ptr<tf::Session> session(tf::NewSession({}));
  TF_CHECK_OK(session->Create(built.graph));
  TF_CHECK_OK(session->Run({}, {}, plain.initializers, nullptr));
  std::vector<tf::Tensor> out;
  TF_CHECK_OK(session->Run({}, {"dfilter"}, {"update_gamma", "update_beta", "update_filter"}, &out));
  EXPECT_LE(distance(wanted, out[0]), 1e-5);
}

}  // namespace
}  // namespace mox
