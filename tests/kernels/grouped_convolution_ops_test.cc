// MoxGroupedConvolution and its gradients, as TensorFlow runs them, against one Conv2D a group.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "kernels/convolution_graphs.h"

namespace mox::kernels {
namespace {

namespace tf = tensorflow;
using namespace testing;

constexpr const char* kGrouped[] = {"MoxGroupedConvolution", "MoxGroupedConvolutionInputGradient",
                                    "MoxGroupedConvolutionFilterGradient"};

using GroupedConvolutionOps = ConvolutionOps;

struct GroupedCall {
  Call call;
  int64_t groups = 8;
};

tf::GraphDef ours(const GroupedCall& grouped) {
  tf::GraphDef graph = testing::ours(grouped.call);
  for (tf::NodeDef& node : *graph.mutable_node())
    if (node.name() == "node") {
      node.set_op(kGrouped[grouped.call.kind]);
      for (const char* name : {"num_bias", "activation", "is_filter_const"}) node.mutable_attr()->erase(name);
      tf::SetAttrValue(grouped.groups, &(*node.mutable_attr())["groups"]);
    }
  return graph;
}

std::string add_axis(tf::GraphDef* graph) {
  tf::Tensor axis(tf::DT_INT32, {});
  axis.scalar<int32_t>()() = 3;
  return NodeMaker(graph, "axis", "Const").attr("dtype", tf::DT_INT32).attr("value", axis).name();
}

// TensorFlow's, in float32 from the inputs as rounded: "theirs". Sizes are those of one group.
void add_theirs(const GroupedCall& grouped, tf::GraphDef* graph) {
  const Call& call = grouped.call;
  const std::string axis = add_axis(graph);
  const int sizes_at = call.kind == kInputGradient ? 0 : call.kind == kFilterGradient ? 1 : -1;
  NodeMaker concat(graph, "theirs", "ConcatV2");
  for (int i = 0; i < (call.kind == kForward ? 2 : 3); ++i) {
    const std::string name = "pieces" + std::to_string(i);
    if (i == sizes_at) continue;
    NodeMaker(graph, name + "/rounded", "Cast")
        .input("in" + std::to_string(i) + "/T")
        .attr("SrcT", call.type)
        .attr("DstT", tf::DT_FLOAT);
    NodeMaker(graph, name, "Split")
        .input(axis)
        .input(name + "/rounded")
        .attr("T", tf::DT_FLOAT)
        .attr("num_split", grouped.groups);
  }
  NodeMaker(graph, "sizes", "Placeholder").attr("dtype", tf::DT_INT32).attr("shape", tf::PartialTensorShape());
  for (int64_t g = 0; g < grouped.groups; ++g) {
    NodeMaker node(graph, "theirs/" + std::to_string(g), kTheirs[call.kind]);
    for (int i = 0; i < (call.kind == kForward ? 2 : 3); ++i)
      node.input(i == sizes_at ? "sizes" : fmt::format("pieces{}:{}", i, g));
    node.attr("T", tf::DT_FLOAT)
        .attr("padding", call.padding)
        .attr("strides", std::vector<int64_t>{1, call.stride, call.stride, 1});
    concat.input(node.name());
  }
  concat.input(axis).attr("T", tf::DT_FLOAT).attr("Tidx", tf::DT_INT32).attr("N", grouped.groups);
}

Feeds feeds_of(const GroupedCall& grouped, const tf::TensorShape& x, int64_t side) {
  const Call& call = grouped.call;
  const auto out = [&](int i) {
    const int64_t size = x.dim_size(i);
    return call.padding == "SAME" ? (size + call.stride - 1) / call.stride : (size - side) / call.stride + 1;
  };
  const int64_t channels = x.dim_size(3), group = channels / grouped.groups;
  const tf::TensorShape filter{side, side, group, channels}, y{x.dim_size(0), out(1), out(2), channels};
  tf::TensorShape one = call.kind == kInputGradient ? x : filter;
  one.set_dim(3, group);
  const tf::Tensor sizes = sizes_of(call.kind == kInputGradient ? x : filter);
  if (call.kind == kForward)
    return {{"in0", random_tensor(x, 1)}, {"in1", random_tensor(filter, 2)}, {"sizes", sizes_of(one)}};
  if (call.kind == kInputGradient)
    return {{"in0", sizes}, {"in1", random_tensor(filter, 2)}, {"in2", random_tensor(y, 4)}, {"sizes", sizes_of(one)}};
  return {{"in0", random_tensor(x, 1)}, {"in1", sizes}, {"in2", random_tensor(y, 4)}, {"sizes", sizes_of(one)}};
}

TEST_F(GroupedConvolutionOps, GiveTensorFlowsNumbers) {
  for (const tf::DataType type : {tf::DT_FLOAT, tf::DT_BFLOAT16})
    for (const int64_t group : {4, 8, 16, 32})
      for (const int64_t side : {1, 3, 5})
        for (const int64_t stride : {1, 2})
          for (const std::string padding : {"SAME", "VALID"})
            for (const Kind kind : kKinds) {
              const GroupedCall call{{kind, type, stride, padding}, 6};
              tf::GraphDef graph = ours(call);
              add_theirs(call, &graph);
              std::vector<tf::Tensor> results;
              const absl::Status status =
                  run(graph, feeds_of(call, {2, 9, 13, 6 * group}, side), {"ours", "theirs"}, &results);
              if (6 * group % convolutions::kLanes != 0) {
                EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
                continue;
              }
              ASSERT_TRUE(status.ok()) << kGrouped[kind] << ": " << status.message();
              EXPECT_LE(relative_difference(results[0], results[1]), type == tf::DT_FLOAT ? 1e-5 : 1 / 200.0)
                  << fmt::format("{} {} {} a group, {}x{} stride {} {}", kGrouped[kind], tf::DataTypeString(type),
                                 group, side, side, stride, padding);
            }
}

TEST_F(GroupedConvolutionOps, AreTheSameWhateverTheThreads) {
  for (const Kind kind : kKinds) {
    const GroupedCall call{{kind}, 32};
    std::vector<tf::Tensor> one, many;
    const Feeds feeds = feeds_of(call, {5, 30, 31, 128}, 3);
    Feeds without(feeds.begin(), feeds.end() - 1);
    TF_CHECK_OK(run(ours(call), without, {"ours"}, &one, 1));
    TF_CHECK_OK(run(ours(call), without, {"ours"}, &many, 3));
    EXPECT_EQ(one[0].tensor_data(), many[0].tensor_data()) << kGrouped[kind];
  }
}

TEST_F(GroupedConvolutionOps, TakeEmptyBatches) {
  for (const Kind kind : kKinds) {
    const GroupedCall call{{kind}, 8};
    Feeds feeds = feeds_of(call, {0, 9, 9, 32}, 3);
    feeds.pop_back();
    std::vector<tf::Tensor> results;
    TF_CHECK_OK(run(ours(call), feeds, {"ours"}, &results));
    EXPECT_EQ(results[0].NumElements(), kind == kFilterGradient ? 3 * 3 * 4 * 32 : 0);
    for (int64_t i = 0; i < results[0].NumElements(); ++i) EXPECT_EQ(results[0].flat<float>()(i), 0);
  }
}

TEST_F(GroupedConvolutionOps, SayWhatIsWrong) {
  struct Wrong {
    Kind kind;
    Feeds feeds;
    std::vector<std::string> words;
  };
  const auto images = [](std::initializer_list<int64_t> shape) { return random_tensor(tf::TensorShape(shape), 1); };
  const std::vector<Wrong> wrongs = {
      {kForward,
       {{"in0", images({2, 8, 8, 32})}, {"in1", images({3, 3, 32, 32})}},
       {"expected [batch, height, width, channels] and [height, width, channels / 8, filters]", "[3,3,32,32]"}},
      {kForward,
       {{"in0", images({2, 8, 8, 32})}, {"in1", images({3, 3, 4, 64})}},
       {"MoxGroupedConvolution: no kernel", "[2,8,8,32]", "[3,3,4,64]"}},
      {kForward, {{"in0", images({2, 8, 8, 24})}, {"in1", images({3, 3, 3, 24})}}, {"no kernel"}},
      {kInputGradient,
       {{"in0", sizes_of({2, 8, 8, 32})}, {"in1", images({3, 3, 4, 32})}, {"in2", images({2, 7, 8, 32})}},
       {"expected [2,8,8,32]", "got [2,7,8,32]"}},
      {kInputGradient,
       {{"in0", sizes_of({2, 8, 32})}, {"in1", images({3, 3, 4, 32})}, {"in2", images({2, 8, 8, 32})}},
       {"expected four sizes", "got [3]"}},
      {kFilterGradient,
       {{"in0", images({2, 8, 8, 32})}, {"in1", sizes_of({3, 3, 4, 32})}, {"in2", images({1, 8, 8, 32})}},
       {"expected [2,8,8,32]", "got [1,8,8,32]"}},
      {kFilterGradient,
       {{"in0", images({2, 8, 8, 32})}, {"in1", sizes_of({3, 3, 8, 32})}, {"in2", images({2, 8, 8, 32})}},
       {"channels / 8", "[3,3,8,32]"}}};
  for (const Wrong& wrong : wrongs) {
    std::vector<tf::Tensor> results;
    const absl::Status status = run(ours(GroupedCall{{wrong.kind}, 8}), wrong.feeds, {"ours"}, &results);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    for (const std::string& word : wrong.words)
      EXPECT_NE(status.message().find(word), std::string::npos) << word << " is not in: " << status.message();
  }
}

}  // namespace
}  // namespace mox::kernels
