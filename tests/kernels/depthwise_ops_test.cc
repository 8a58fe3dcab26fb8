// MoxDepthwiseConvolution and its gradients, as TensorFlow runs them, against its own DepthwiseConv2dNative.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "convolutions/depthwise.h"
#include "kernels/convolution_graphs.h"

namespace mox::kernels {
namespace {

namespace tf = tensorflow;
using namespace testing;

constexpr const char* kOurDepthwise[] = {"MoxDepthwiseConvolution", "MoxDepthwiseConvolutionInputGradient",
                                         "MoxDepthwiseConvolutionFilterGradient"};
constexpr const char* kTheirDepthwise[] = {"DepthwiseConv2dNative", "DepthwiseConv2dNativeBackpropInput",
                                           "DepthwiseConv2dNativeBackpropFilter"};

// Placeholders "in0" to "in2", float32 or sizes, to "ours" and to "theirs", the latter in float32 from the inputs as
// rounded to the type.
tf::GraphDef both_of(const Call& call) {
  tf::GraphDef graph;
  const int sizes_at = call.kind == kInputGradient ? 0 : call.kind == kFilterGradient ? 1 : -1;
  const int inputs = call.kind == kForward ? 2 : 3;
  NodeMaker ours(&graph, "node", kOurDepthwise[call.kind]), theirs(&graph, "theirs/node", kTheirDepthwise[call.kind]);
  for (int i = 0; i < inputs + call.num_bias; ++i) {
    const std::string name = "in" + std::to_string(i);
    NodeMaker(&graph, name, "Placeholder").attr("dtype", i == sizes_at ? tf::DT_INT32 : tf::DT_FLOAT);
    if (i == sizes_at) {
      ours.input(name), theirs.input(name);
      continue;
    }
    NodeMaker(&graph, name + "/T", "Cast").input(name).attr("SrcT", tf::DT_FLOAT).attr("DstT", call.type);
    NodeMaker(&graph, name + "/32", "Cast").input(name + "/T").attr("SrcT", call.type).attr("DstT", tf::DT_FLOAT);
    ours.input(name + "/T");
    if (i < inputs) theirs.input(name + "/32");
  }
  ours.attr("T", call.type).attr("stride", call.stride).attr("padding", call.padding);
  if (call.kind == kForward) ours.attr("num_bias", call.num_bias).attr("activation", call.activation);
  theirs.attr("T", tf::DT_FLOAT)
      .attr("padding", call.padding)
      .attr("strides", std::vector<int64_t>{1, call.stride, call.stride, 1});
  std::string last = "theirs/node";
  const auto follow = [&](const std::string& kind, const std::string& other) {
    NodeMaker follower(&graph, "theirs/" + kind, kind);
    follower.input(last).attr("T", tf::DT_FLOAT);
    if (!other.empty()) follower.input(other);
    last = "theirs/" + kind;
  };
  if (call.num_bias) follow("BiasAdd", "in2/32");
  if (!call.activation.empty()) follow(call.activation, "");
  NodeMaker(&graph, "ours", "Cast").input("node").attr("SrcT", call.type).attr("DstT", tf::DT_FLOAT);
  NodeMaker(&graph, "theirs", "Identity").input(last).attr("T", tf::DT_FLOAT);
  return graph;
}

Feeds feeds_of(const Call& call, const tf::TensorShape& x, int64_t size) {
  const auto side = [&](int i) {
    return call.padding == "SAME" ? (x.dim_size(i) + call.stride - 1) / call.stride
                                  : (x.dim_size(i) - size) / call.stride + 1;
  };
  const int64_t channels = x.dim_size(3);
  const tf::TensorShape y{x.dim_size(0), side(1), side(2), channels}, filter{size, size, channels, 1};
  Feeds feeds = {{"in0", random_tensor(x, 1)}, {"in1", random_tensor(filter, 2)}, {"in2", random_tensor(y, 4)}};
  if (call.kind == kInputGradient) feeds[0].second = sizes_of(x);
  if (call.kind == kFilterGradient) feeds[1].second = sizes_of(filter);
  if (call.kind == kForward) feeds.pop_back();
  if (call.num_bias) feeds.emplace_back("in2", random_tensor({channels}, 3));
  return feeds;
}

// "ours" and "theirs".
std::vector<tf::Tensor> results_of(const Call& call, const Feeds& feeds, int threads = 0, bool optimize = true) {
  std::vector<tf::Tensor> results;
  const absl::Status status = run(both_of(call), feeds, {"ours", "theirs"}, &results, threads, optimize);
  EXPECT_TRUE(status.ok()) << kOurDepthwise[call.kind] << ": " << status.message();
  return results;
}

using DepthwiseOps = ConvolutionOps;

TEST_F(DepthwiseOps, GiveTensorFlowsNumbers) {
  for (const tf::DataType type : {tf::DT_FLOAT, tf::DT_BFLOAT16})
    for (const int64_t size : {3, 5, 7})
      for (const int64_t stride : {1, 2})
        for (const std::string padding : {"SAME", "VALID"})
          for (const tf::TensorShape& x :
               {tf::TensorShape{2, 9, 13, 44}, tf::TensorShape{3, 14, 14, 144}, tf::TensorShape{1, 7, 8, 3}})
            for (const Kind kind : kKinds) {
              const Call call{kind, type, stride, padding};
              const auto results = results_of(call, feeds_of(call, x, size));
              ASSERT_EQ(results.size(), 2);
              EXPECT_LE(relative_difference(results[0], results[1]), type == tf::DT_FLOAT ? 1e-5 : 1 / 200.0)
                  << fmt::format("{} {} {}x{} stride {} {} {}", kOurDepthwise[kind], tf::DataTypeString(type), size,
                                 size, stride, padding, x.DebugString());
            }
}

TEST_F(DepthwiseOps, AddABiasAndClamp) {
  for (const tf::DataType type : {tf::DT_FLOAT, tf::DT_BFLOAT16})
    for (const std::string activation : {"", "Relu", "Relu6"}) {
      const Call call{kForward, type, 1, "SAME", 1, activation};
      const auto results = results_of(call, feeds_of(call, {3, 9, 13, 44}, 3));
      ASSERT_EQ(results.size(), 2);
      EXPECT_LE(relative_difference(results[0], results[1]), type == tf::DT_FLOAT ? 1e-5 : 1 / 200.0) << activation;
    }
}

// TensorFlow's optimizers are off, as for other convolutions.
TEST_F(DepthwiseOps, ShowNaNsAsTensorFlowDoes) {
  for (const std::string activation : {"", "Relu", "Relu6"}) {
    const Call call{kForward, tf::DT_FLOAT, 1, "SAME", 1, activation};
    Feeds feeds = feeds_of(call, {2, 9, 13, 44}, 3);
    feeds[0].second.tensor<float, 4>()(1, 4, 4, 7) = NAN;
    const auto results = results_of(call, feeds, 0, false);
    ASSERT_EQ(results.size(), 2);
    int64_t nans = 0, different = 0;
    for (int64_t i = 0; i < results[1].NumElements(); ++i) {
      nans += std::isnan(results[1].flat<float>()(i));
      different += std::isnan(results[0].flat<float>()(i)) != std::isnan(results[1].flat<float>()(i));
    }
    EXPECT_EQ(nans, 9) << activation;
    EXPECT_EQ(different, 0) << activation;
  }
}

TEST_F(DepthwiseOps, AreTheSameWhateverTheThreads) {
  for (const Kind kind : kKinds) {
    const Call call{kind};
    const Feeds feeds = feeds_of(call, {4, 33, 31, 84}, 5);
    const auto one = results_of(call, feeds, 1);
    for (const int threads : {2, 3, 7})
      EXPECT_EQ(one[0].tensor_data(), results_of(call, feeds, threads)[0].tensor_data())
          << kOurDepthwise[kind] << ", " << threads << " threads";
  }
}

// No outputs, and a gradient of zeros.
TEST_F(DepthwiseOps, TakeNoImages) {
  for (const Kind kind : kKinds) {
    const Call call{kind};
    std::vector<tf::Tensor> results;
    TF_CHECK_OK(run(both_of(call), feeds_of(call, {0, 8, 9, 16}, 3), {"ours"}, &results));
    EXPECT_EQ(results[0].shape(),
              kind == kFilterGradient ? tf::TensorShape({3, 3, 16, 1}) : tf::TensorShape({0, 8, 9, 16}));
    for (int64_t i = 0; i < results[0].NumElements(); ++i) ASSERT_EQ(results[0].flat<float>()(i), 0);
  }
}

// Images one smaller than the filter have no outputs, and their gradient is 0.
TEST_F(DepthwiseOps, TakeImagesThatAreTooSmall) {
  for (const Kind kind : kKinds) {
    const Call call{kind, tf::DT_FLOAT, 1, "VALID"};
    std::vector<tf::Tensor> results;
    TF_CHECK_OK(run(both_of(call), feeds_of(call, {2, 4, 9, 16}, 5), {"ours"}, &results));
    EXPECT_EQ(results[0].shape(), kind == kForward         ? tf::TensorShape({2, 0, 5, 16})
                                  : kind == kInputGradient ? tf::TensorShape({2, 4, 9, 16})
                                                           : tf::TensorShape({5, 5, 16, 1}));
    for (int64_t i = 0; i < results[0].NumElements(); ++i) ASSERT_EQ(results[0].flat<float>()(i), 0);
  }
}

TEST_F(DepthwiseOps, SayWhatIsWrong) {
  struct Wrong {
    Call call;
    tf::TensorShape x, filter;
    std::vector<std::string> words;  // of the message
  };
  const Call forward, three{kForward, tf::DT_FLOAT, 3}, biased{kForward, tf::DT_FLOAT, 1, "SAME", 1},
      valid{kForward, tf::DT_FLOAT, 1, "VALID"}, dx{kInputGradient}, dw{kFilterGradient};
  const std::vector<Wrong> wrongs = {
      {forward,
       {2, 8, 8, 32},
       {3, 3, 16, 1},
       {"expected [batch, height, width, channels]", "[2,8,8,32]", "[3,3,16,1]"}},
      {forward, {2, 8, 8, 16}, {3, 3, 16, 2}, {"MoxDepthwiseConvolution: no kernel", "[3,3,16,2]", "float"}},
      {forward, {2, 8, 8, 16}, {3, 5, 16, 1}, {"no kernel", "[3,5,16,1]"}},
      {forward, {2, 8, 8, 16}, {4, 4, 16, 1}, {"no kernel", "[4,4,16,1]"}},
      {forward, {2, 8, 8, 0}, {3, 3, 0, 1}, {"no kernel", "[3,3,0,1]"}},
      {forward, {8, 8, 16}, {3, 3, 16, 1}, {"[8,8,16]", "[3,3,16,1]"}},
      {forward, {2, 8, 8, 16}, {3, 3, 16}, {"[2,8,8,16]", "[3,3,16]"}},
      {three, {2, 8, 8, 16}, {3, 3, 16, 1}, {"no kernel", "stride 3"}},
      {valid, {2, 1, 8, 16}, {3, 3, 16, 1}, {"negative"}},
      {biased, {2, 8, 8, 16}, {3, 3, 16, 1}, {"expected a bias of 16 numbers", "[2,8,8,15]"}},
      {dx, {2, 8, 8, 16}, {3, 3, 16, 1}, {"gradient of a depthwise convolution: expected [2,8,8,16]", "[2,8,8,15]"}},
      {dw, {2, 8, 8, 16}, {3, 3, 16, 1}, {"gradient of a depthwise convolution: expected [2,8,8,16]", "[2,8,8,15]"}}};
  for (const Wrong& wrong : wrongs) {
    Feeds feeds = {{"in0", random_tensor(wrong.x, 1)}, {"in1", random_tensor(wrong.filter, 1)}};
    if (wrong.call.kind == kInputGradient) feeds[0].second = sizes_of(wrong.x);
    if (wrong.call.kind == kFilterGradient) feeds[1].second = sizes_of(wrong.filter);
    if (wrong.call.num_bias || wrong.call.kind != kForward) feeds.emplace_back("in2", random_tensor({2, 8, 8, 15}, 1));
    std::vector<tf::Tensor> results;
    const absl::Status status = run(both_of(wrong.call), feeds, {"ours"}, &results);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    for (const std::string& word : wrong.words)
      EXPECT_NE(status.message().find(word), std::string::npos) << word << " is not in: " << status.message();
  }
  std::vector<tf::Tensor> results;
  const absl::Status status =
      run(both_of({kForward, tf::DT_FLOAT, 1, "SAME", 0, "Relu"}),
          {{"in0", random_tensor({2, 8, 8, 16}, 1)}, {"in1", random_tensor({3, 3, 16, 1}, 1)}}, {"ours"}, &results);
  EXPECT_NE(status.message().find("an activation needs a bias"), std::string::npos) << status;
}

}  // namespace
}  // namespace mox::kernels
