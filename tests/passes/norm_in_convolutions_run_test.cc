// The numbers of networks whose convolutions compute what batch norm needs, against those of the same operations one by
// one, values and gradients.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "passes/norm_in_convolutions.h"
#include "passes/norm_layers.h"
#include "passes/processor.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace mox {
namespace {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;
using tensorflow::Output;
using namespace testing;

class NormInConvolutionsRun : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::has_vectors()) GTEST_SKIP() << "this processor has no AVX2";
  }
};

// What is moved, by the pass's count, of a network for an image [n, h, w, 24] and a side of that shape.
struct Case {
  const char* name;
  int moved;
  std::vector<int> y_shape;  // of {4, 5, 7, 24}; empty: the same
  Network network;
};

// Of two gradients that arrive at x the shortcut's is 0 but where its stride reads.
Output strided_block(const Scope& s, const Output& x, int stride) {
  const Output inner = conv(s, conv(s, x, 32, "b"), 24, "bbb", stride, 3);
  return ops::AddV2(s, inner, conv(s, x, 24, "bb", stride));
}

const std::vector<Case>& cases() {
  using S = const Scope&;
  using O = const Output&;
  static const auto* all = new std::vector<Case>{
      {"ReLU", 2, {}, [](S s, O x, O) { return conv(s, ops::Relu(s, norm(s, conv(s, x, 24, "a"), "n")), 24, "b"); }},
      {"ReLU6",
       2,
       {4, 5, 7, 40},
       [](S s, O x, O) { return conv(s, ops::Relu6(s, norm(s, conv(s, x, 64, "a"), "n", 8)), 40, "b"); }},
      {"no activation", 2, {}, [](S s, O x, O) { return conv(s, norm(s, conv(s, x, 24, "a"), "n"), 24, "b"); }},
      {"a residual and ReLU",
       2,
       {4, 5, 7, 48},
       [](S s, O x, O side) {
         return conv(s, ops::Relu(s, ops::AddV2(s, side, norm(s, conv(s, x, 24, "a"), "n"))), 48, "b");
       }},
      // What arrives is the gradient of what is added, too: it stays a tensor.
      {"a residual and no activation",
       1,
       {},
       [](S s, O x, O side) { return conv(s, ops::AddV2(s, norm(s, conv(s, x, 24, "a"), "n"), side), 24, "b"); }},
      {"a residual that is a batch norm",
       3,
       {},
       [](S s, O x, O side) {
         const Output sum = ops::Add(s, norm(s, conv(s, x, 24, "a"), "n"), norm(s, conv(s, side, 24, "aa"), "m"));
         return conv(s, ops::Relu(s, sum), 24, "b");
       }},
      {"another gradient that arrives",
       2,
       {},
       [](S s, O x, O) -> Output {
         const Output y = ops::Relu(s, norm(s, conv(s, x, 24, "a"), "n"));
         return ops::AddV2(s, conv(s, y, 24, "b"), ops::Tanh(s, y));
       }},
      {"another gradient that arrives, and a residual",
       2,
       {},
       [](S s, O x, O side) -> Output {
         const Output y = ops::Relu6(s, ops::AddV2(s, norm(s, conv(s, x, 24, "a"), "n", 8), side));
         return ops::AddV2(s, ops::Tanh(s, y), conv(s, y, 24, "b"));
       }},
      {"two convolutions' gradients arrive",
       2,
       {4, 5, 7, 72},
       [](S s, O x, O) -> Output {
         const Output y = ops::Relu(s, norm(s, conv(s, x, 24, "a"), "n"));
         return ops::Concat(s, {conv(s, y, 24, "b"), conv(s, y, 48, "bb")}, 3);
       }},
      {"stride 2 before it",
       2,
       {4, 3, 4, 24},
       [](S s, O x, O) { return conv(s, ops::Relu(s, norm(s, conv(s, x, 32, "a", 2), "n")), 24, "b"); }},
      {"stride 2 behind it",
       2,
       {4, 3, 4, 24},
       [](S s, O x, O) { return conv(s, ops::Relu(s, norm(s, conv(s, x, 32, "a"), "n")), 24, "b", 2); }},
      {"3x3 with stride 2 behind it",
       2,
       {4, 3, 4, 24},
       [](S s, O x, O) { return conv(s, ops::Relu(s, norm(s, conv(s, x, 32, "a"), "n")), 24, "b", 2, 3); }},
      {"depthwise",
       2,
       {},
       [](S s, O x, O) { return conv(s, ops::Relu6(s, norm(s, depthwise(s, x, "a"), "n")), 24, "b"); }},
      {"depthwise, stride 2",
       2,
       {4, 3, 4, 24},
       [](S s, O x, O) { return conv(s, ops::Relu6(s, norm(s, depthwise(s, x, "a", 2), "n")), 24, "b"); }},
      {"depthwise behind it",
       2,
       {},
       [](S s, O x, O) { return depthwise(s, ops::Relu6(s, norm(s, conv(s, x, 24, "a"), "n", 8)), "b"); }},
      {"depthwise with stride 2 behind it",
       2,
       {4, 3, 4, 24},
       [](S s, O x, O) { return depthwise(s, ops::Relu(s, norm(s, conv(s, x, 24, "a"), "n")), "b", 2); }},
      {"depthwise behind it, and another gradient that arrives",
       2,
       {},
       [](S s, O x, O side) -> Output {
         const Output y = ops::Relu(s, ops::AddV2(s, norm(s, conv(s, x, 24, "a"), "n"), side));
         return ops::AddV2(s, depthwise(s, y, "b"), ops::Tanh(s, y));
       }},
      {"a shortcut with stride 2",
       2,
       {4, 3, 4, 24},
       [](S s, O x, O) { return strided_block(s, ops::Relu(s, norm(s, conv(s, x, 24, "a"), "n")), 2); }},
      {"a shortcut with stride 3 of a residual",
       2,
       {4, 2, 3, 24},
       [](S s, O x, O side) {
         return strided_block(s, ops::Relu6(s, ops::AddV2(s, norm(s, conv(s, x, 24, "a"), "n", 8), side)), 3);
       }},
      {"a shortcut with stride 2 and no activation",
       2,
       {4, 3, 4, 24},
       [](S s, O x, O) { return strided_block(s, norm(s, conv(s, x, 24, "a"), "n"), 2); }},
      {"3x3 before it",
       1,
       {},
       [](S s, O x, O) { return conv(s, ops::Relu(s, norm(s, conv(s, x, 32, "a", 1, 3), "n")), 24, "b"); }},
  };
  return *all;
}

// Bottlenecks of a residual network: 1x1, 3x3 and 1x1, three of them; what arrives at the sums are two gradients.
Output bottlenecks(const Scope& s, const Output& x, const Output& side) {
  Output y = ops::Relu(s, norm(s, conv(s, x, 64, "first"), "first_norm"));
  for (const std::string block : {"i", "ii", "iii"}) {
    Output inner = ops::Relu(s, norm(s, conv(s, y, 16, block + "a"), block + "norm_a"));
    inner = ops::Relu(s, norm(s, conv(s, inner, 16, block + "b", 1, 3), block + "norm_b"));
    y = ops::Relu(s, ops::AddV2(s, norm(s, conv(s, inner, 64, block + "c"), block + "norm_c"), y));
  }
  return ops::AddV2(s, conv(s, y, 24, "last"), side);
}

// The same with a shortcut of stride 2 in the second block: its gradient arrives beside that of the block's first
// convolution.
Output strided_bottlenecks(const Scope& s, const Output& x, const Output& /*side*/) {
  Output y = ops::Relu(s, norm(s, conv(s, x, 64, "first"), "first_norm"));
  for (const std::string block : {"i", "ii", "iii"}) {
    const int stride = block == "ii" ? 2 : 1;
    Output inner = ops::Relu(s, norm(s, conv(s, y, 16, block + "a"), block + "norm_a"));
    inner = ops::Relu(s, norm(s, conv(s, inner, 16, block + "b", stride, 3), block + "norm_b"));
    const Output shortcut = stride == 1 ? y : norm(s, conv(s, y, 64, block + "s", stride), block + "norm_s");
    y = ops::Relu(s, ops::AddV2(s, norm(s, conv(s, inner, 64, block + "c"), block + "norm_c"), shortcut));
  }
  return conv(s, y, 24, "last");
}

int count_of_compact(const tf::GraphDef& graph) {
  return static_cast<int>(std::ranges::count_if(graph.node(), [](const tf::NodeDef& node) {
    return node.op() == "MoxConvolutionInputGradient" && node.attr().contains("compact");
  }));
}

void expect_same(Model model, int moved, double tolerance, const std::string& name) {
  take(&model);
  const std::vector<tf::Tensor> before = testing::run(model);
  ASSERT_EQ(compute_norms_in_convolutions(&model.graph), moved) << name;
  const std::vector<tf::Tensor> after = testing::run(model);
  ASSERT_EQ(before.size(), after.size());
  for (size_t i = 0; i < before.size(); ++i)
    EXPECT_LE(distance(before[i], after[i]), tolerance) << name << ": " << model.fetches[i];
}

TEST_F(NormInConvolutionsRun, SameNumbers) {
  for (const Case& c : cases())
    expect_same(model_of({4, 5, 7, 24}, tf::DT_FLOAT, c.network, c.y_shape), c.moved, 2e-5, c.name);
}

// As many rows as several parts have; one an image; one image; channels in whole vectors and not.
TEST_F(NormInConvolutionsRun, SameNumbersOfOtherSizes) {
  for (const int channels : {24, 64, 100, 256})
    for (const bool relu : {false, true})
      for (const std::vector<int>& image : {std::vector<int>{3, 40, 40}, {2, 1, 1}, {1, 7, 7}}) {
        const auto network = [&](const Scope& s, const Output& x, const Output& side) -> Output {
          const Output normed = norm(s, conv(s, x, channels, "a"), "n");
          const Output y = relu ? Output(ops::Relu(s, ops::AddV2(s, normed, side))) : normed;
          return ops::AddV2(s, conv(s, y, channels, "b"), ops::Tanh(s, y));
        };
        // Of so many the last bit decides for one or two on which side of the ReLU they are.
        const double tolerance = relu && image[1] == 40 ? 5e-3 : 2e-5;
        expect_same(model_of({image[0], image[1], image[2], channels}, tf::DT_FLOAT, network), 2, tolerance,
                    std::to_string(channels) + " channels, images " + std::to_string(image[1]));
      }
}

TEST_F(NormInConvolutionsRun, SameNumbersOfBottlenecks) {
  // Statistics of the first convolution and of two of each block; gradients of all that a 1x1 convolution reads.
  expect_same(model_of({4, 8, 8, 24}, tf::DT_FLOAT, bottlenecks), 1 + 3 * 2 + 1 + 3 * 2, 1e-4, "bottlenecks");
}

TEST_F(NormInConvolutionsRun, SameNumbersOfShortcutsWithAStride) {
  for (const tf::DataType type : {tf::DT_FLOAT, tf::DT_BFLOAT16}) {
    Model model = model_of({4, 9, 8, 24}, type, strided_bottlenecks, {4, 5, 4, 24});
    const std::vector<tf::Tensor> theirs = testing::run(model);
    take(&model);
    if (type == tf::DT_BFLOAT16 && count_of(model.graph, "MoxConvolution") == 0) continue;  // oneDNN's are faster here
    const std::vector<tf::Tensor> before = testing::run(model);
    ASSERT_GT(compute_norms_in_convolutions(&model.graph), 0);
    EXPECT_EQ(count_of_compact(model.graph), 1);
    const std::vector<tf::Tensor> after = testing::run(model);
    ASSERT_EQ(before.size(), after.size());
    for (size_t i = 0; i < before.size(); ++i) {
      const double tolerance = type == tf::DT_FLOAT ? 1e-4 : std::max(0.01, 1.5 * distance(theirs[i], before[i]));
      EXPECT_LE(distance(theirs[i], after[i]), tolerance) << model.fetches[i];
    }
  }
}

// The whole gradient of a shortcut, asked for by name in the same step, is what it was.
TEST_F(NormInConvolutionsRun, NamesOfStridedGradientsStayForWhoAsks) {
  const auto network = std::ranges::find(cases(), std::string("a shortcut with stride 2"), &Case::name);
  Model model = model_of({4, 5, 7, 24}, tf::DT_FLOAT, network->network, network->y_shape);
  take(&model);
  std::string asked;
  for (const tf::NodeDef& node : model.graph.node())
    if (node.op() == "MoxConvolutionInputGradient" && node.attr().at("stride").i() == 2 &&
        node.name().find("bbb") == std::string::npos)
      asked = node.name();
  for (const tf::NodeDef& node : model.graph.node())
    if (node.op() == "MoxNormalizeGrad")
      EXPECT_NE(std::ranges::find(node.input(), asked), node.input().end()) << asked << " is not the shortcut's";
  model.fetches.push_back(asked);
  expect_same(model, network->moved, 2e-5, "with " + asked);
}

// And those of TensorFlow's own operations.
TEST_F(NormInConvolutionsRun, SameNumbersAsTensorFlow) {
  for (const Case& c : cases()) {
    Model model = model_of({4, 5, 7, 24}, tf::DT_FLOAT, c.network, c.y_shape);
    const std::vector<tf::Tensor> before = testing::run(model);
    take(&model);
    ASSERT_EQ(compute_norms_in_convolutions(&model.graph), c.moved) << c.name;
    const std::vector<tf::Tensor> after = testing::run(model);
    for (size_t i = 0; i < before.size(); ++i)
      EXPECT_LE(distance(before[i], after[i]), 1e-4) << c.name << ": " << model.fetches[i];
  }
}

// The means are up to some thousand, the variances below 5: sums of squares in float32 would keep no digit. The
// gradient of the filter of what has these means is a small difference of large sums: not compared.
TEST_F(NormInConvolutionsRun, LargeMeansCostNoDigits) {
  const auto network = [](const Scope& s, const Output& x, const Output&) {
    return conv(s, norm(s, conv(s, x, 24, "a"), "n"), 24, "b");
  };
  Model model = model_of({4, 16, 16, 24}, tf::DT_FLOAT, network, {}, 1000);
  take(&model);
  const std::vector<tf::Tensor> before = testing::run(model);
  ASSERT_EQ(compute_norms_in_convolutions(&model.graph), 2);
  const std::vector<tf::Tensor> after = testing::run(model);
  constexpr size_t kFilterOfX = 3;  // y, the gradients of x and side, then those of variables
  for (size_t i = 0; i < before.size(); ++i)
    if (i != kFilterOfX) EXPECT_LE(distance(before[i], after[i]), 1e-3) << model.fetches[i];
}

// As near to float32 as the separate operations of 16 bits are.
TEST_F(NormInConvolutionsRun, Bfloat16) {
  const auto is_ours = [](Model model) {
    take(&model);
    return count_of(model.graph, "MoxConvolution") > 0;
  };
  const Network& first = cases()[0].network;
  if (!is_ours(model_of({4, 5, 7, 24}, tf::DT_BFLOAT16, first))) GTEST_SKIP() << "oneDNN's are faster here";
  for (const Case& c : cases()) {
    const std::vector<tf::Tensor> truth = testing::run(model_of({4, 5, 7, 24}, tf::DT_FLOAT, c.network, c.y_shape));
    Model model = model_of({4, 5, 7, 24}, tf::DT_BFLOAT16, c.network, c.y_shape);
    take(&model);
    const std::vector<tf::Tensor> separate = testing::run(model);
    ASSERT_EQ(compute_norms_in_convolutions(&model.graph), c.moved) << c.name;
    const std::vector<tf::Tensor> joined = testing::run(model);
    for (size_t i = 0; i < truth.size(); ++i) {
      EXPECT_LE(distance(truth[i], joined[i]), std::max(0.006, 1.2 * distance(truth[i], separate[i])))
          << c.name << ": " << model.fetches[i];
      EXPECT_LE(distance(truth[i], joined[i]), 0.1) << c.name << ": " << model.fetches[i];
    }
  }
}

// What the pass leaves, asked for by name in the same step, is what it was.
TEST_F(NormInConvolutionsRun, NamesStayForWhoAsks) {
  Model model = model_of({4, 5, 7, 24}, tf::DT_FLOAT, cases()[0].network);
  take(&model);
  int asked = 0;
  for (const tf::NodeDef& node : model.graph.node()) {
    if (node.op() != "MoxMoments" && node.op() != "MoxConvolutionInputGradient") continue;
    for (const char* port : {":0", ":1", ":2"})
      if (node.op() == "MoxMoments" || port == std::string(":0")) {
        model.fetches.push_back(node.name() + port);
        ++asked;
      }
  }
  EXPECT_EQ(asked, 3 + 2);
  expect_same(model, 2, 2e-5, "with names");
}

TEST_F(NormInConvolutionsRun, NothingWithoutOurBatchNormOrConvolutions) {
  for (const char* name : {"MOX_FUSE_BATCH_NORM", "MOX_FAST_CONVOLUTIONS", "MOX_NORM_IN_CONVOLUTIONS"}) {
    const Environment off(name, "0");
    Model model = model_of({4, 5, 7, 24}, tf::DT_FLOAT, cases()[0].network);
    take(&model);
    EXPECT_EQ(compute_norms_in_convolutions(&model.graph), 0) << name;
  }
}

}  // namespace
}  // namespace mox
