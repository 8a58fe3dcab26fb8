// MoxDepthwiseConvolutionNormalizeGrad against MoxDepthwiseConvolutionInputGradient and MoxNormalizeGrad.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/norm_graphs.h"

namespace mox::kernels {
namespace {

namespace tf = tensorflow;
using namespace testing;

using DepthwiseNormalizeGrad = ConvolutionOps;

struct Case {
  tf::TensorShape x{2, 14, 13, 48};
  int64_t size = 3, stride = 1;
  std::string padding = "SAME";
  tf::DataType type = tf::DT_FLOAT;
  std::string activation = "Relu";
  int num_more = 0, num_side = 0;
};

std::string text(const Case& c) {
  return fmt::format("{} with {}x{}, stride {} {}, '{}'{}{} in {}", c.x.DebugString(), c.size, c.size, c.stride,
                     c.padding, c.activation, c.num_more ? ", with more" : "", c.num_side ? ", with a side" : "",
                     tf::DataTypeString(c.type));
}

const std::vector<std::string> kParameters = {"mean", "variance", "scale", "offset"};

// "filter", "dz", "more0", "x" and "y0", in the operation's order.
std::vector<std::string> images_of(const Case& c) {
  std::vector<std::string> names = {"filter", "dz"};
  for (int i = 0; i < c.num_more; ++i) names.push_back("more" + std::to_string(i));
  names.push_back("x");
  for (int i = 0; i < c.num_side; ++i) names.push_back("y" + std::to_string(i));
  return names;
}

struct Graph {
  tf::GraphDef graph;
  std::vector<std::string> fetches;
};

Graph graph_of(const Case& c, bool ours) {
  Graph to;
  tf::GraphDef* graph = &to.graph;
  for (const std::string& name : images_of(c)) add_input(graph, name, c.type);
  for (const std::string& name : kParameters)
    NodeMaker(graph, name, "Placeholder").attr("dtype", tf::DT_FLOAT).attr("shape", tf::PartialTensorShape());
  if (!ours) {
    NodeMaker(graph, "sizes", "Shape").input("x/T").attr("T", c.type);
    NodeMaker(graph, "arrived", "MoxDepthwiseConvolutionInputGradient")
        .input("sizes")
        .input("filter/T")
        .input("dz/T")
        .attr("T", c.type)
        .attr("stride", c.stride)
        .attr("padding", c.padding);
  }
  NodeMaker node(graph, "node", ours ? "MoxDepthwiseConvolutionNormalizeGrad" : "MoxNormalizeGrad");
  if (!ours) node.input("arrived");
  for (const std::string& name : images_of(c))
    if (ours || (name != "filter" && name != "dz")) node.input(name + "/T");
  for (const std::string& name : kParameters) node.input(name);
  node.attr("T", c.type).attr("num_side", c.num_side).attr("epsilon", 1e-3f).attr("activation", c.activation);
  if (ours)
    node.attr("num_more", c.num_more).attr("stride", c.stride).attr("padding", c.padding);
  else
    node.attr("num_dy", 1 + c.num_more);
  to.fetches = {add_float(graph, "dx", "node:0", c.type), "node:1", "node:2"};
  if (c.num_side == 1) to.fetches.push_back(add_float(graph, "dside", "node:3", c.type));
  return to;
}

tf::TensorShape shape_of_dz(const Case& c) {
  const auto side = [&](int64_t in) {
    return c.padding == "SAME" ? (in + c.stride - 1) / c.stride : (in - c.size + c.stride) / c.stride;
  };
  return {c.x.dim_size(0), side(c.x.dim_size(1)), side(c.x.dim_size(2)), c.x.dim_size(3)};
}

// What add_input negates is negated here. y has what a ReLU6 clamps.
Feeds feeds_of(const Case& c) {
  const int64_t channels = c.x.dim_size(3);
  Feeds feeds;
  for (const std::string& name : images_of(c)) {
    const int seed = static_cast<int>(feeds.size()) + 1;
    if (name == "filter")
      feeds.emplace_back(name, random_tensor({c.size, c.size, channels, 1}, seed, -0.3f, 0.3f));
    else
      feeds.emplace_back(name, random_tensor(name == "dz" ? shape_of_dz(c) : c.x, seed, -2, 2));
    if (name != "y0") continue;
    auto y = feeds.back().second.flat<float>();
    for (int64_t i = 0; i < y.size(); ++i) {
      const float value = 4 * y(i) + 1, most = c.activation == "Relu6" ? 6.f : 1e9f;
      y(i) = -(c.activation.empty() ? value : std::clamp(value, 0.f, most));
    }
  }
  feeds.emplace_back("mean", random_tensor({channels}, 11, -0.5f, 0.5f));
  feeds.emplace_back("variance", random_tensor({channels}, 12, 0.2f, 2));
  feeds.emplace_back("scale", random_tensor({channels}, 13, -1.5f, 3));
  feeds.emplace_back("offset", random_tensor({channels}, 14, -1, 4));
  return feeds;
}

std::vector<tf::Tensor> results_of(const Case& c, bool ours, const Feeds& feeds, int threads = 2) {
  const Graph graph = graph_of(c, ours);
  std::vector<tf::Tensor> results;
  const absl::Status status = run_plainly(graph.graph, feeds, graph.fetches, &results, threads);
  EXPECT_TRUE(status.ok()) << text(c) << ": " << status.message();
  return results;
}

std::vector<Case> cases_of(const tf::TensorShape& x, const std::vector<int64_t>& sizes = {3}) {
  std::vector<Case> all;
  for (const tf::DataType type : {tf::DT_FLOAT, tf::DT_BFLOAT16})
    for (const std::string activation : {"", "Relu", "Relu6"})
      for (const int num_more : {0, 1})
        for (const int num_side : {0, 1})
          for (const int64_t size : sizes)
            for (const int64_t stride : {1, 2})
              all.push_back(
                  {x, size, stride, num_more == num_side ? "SAME" : "VALID", type, activation, num_more, num_side});
  return all;
}

// Sums are over other parts of the rows.
void expect_same(const Case& c) {
  const Feeds feeds = feeds_of(c);
  const auto got = results_of(c, true, feeds), wanted = results_of(c, false, feeds);
  ASSERT_EQ(got.size(), wanted.size()) << text(c);
  ASSERT_EQ(got.size(), 3 + c.num_side) << text(c);
  EXPECT_LE(relative_difference(got[0], wanted[0]), c.type == tf::DT_FLOAT ? 1e-5 : 1 / 200.0) << text(c) << ": dx";
  for (const int i : {1, 2}) EXPECT_LE(relative_difference(got[i], wanted[i]), 1e-5) << text(c) << ": output " << i;
  if (c.num_side) EXPECT_TRUE(same_bits(got[3], wanted[3])) << text(c) << ": dside";
  for (const tf::Tensor& tensor : wanted) EXPECT_GT(max_abs(tensor), 0) << text(c) << " shows nothing";
}

TEST_F(DepthwiseNormalizeGrad, GivesWhatTheTwoGive) {
  for (const Case& c : cases_of({2, 14, 13, 48}, {3, 5, 7})) expect_same(c);
  for (const tf::TensorShape& x :
       {tf::TensorShape{3, 31, 29, 17}, tf::TensorShape{1, 7, 9, 600}, tf::TensorShape{1, 5, 331, 20}})
    for (const Case& c : cases_of(x, {5})) expect_same(c);
}

TEST_F(DepthwiseNormalizeGrad, IsTheSameWhateverTheThreads) {
  for (const Case& c : cases_of({3, 31, 29, 40})) {
    const Feeds feeds = feeds_of(c);
    const auto one = results_of(c, true, feeds, 1);
    for (const int threads : {2, 7}) {
      const auto more = results_of(c, true, feeds, threads);
      ASSERT_EQ(one.size(), more.size());
      for (size_t i = 0; i < one.size(); ++i)
        EXPECT_TRUE(same_bits(one[i], more[i])) << text(c) << ", output " << i << ", " << threads << " threads";
    }
  }
}

// No images; images one smaller than the filter, of which no gradient arrives; one pixel.
TEST_F(DepthwiseNormalizeGrad, TakesFewImages) {
  std::vector<Case> all = cases_of({0, 14, 13, 48});
  for (Case c : cases_of({2, 2, 9, 20}))
    if (c.padding == "VALID" && c.stride == 1) all.push_back(c);
  for (Case c : cases_of({1, 1, 1, 20}))
    if (c.padding == "SAME") all.push_back(c);
  for (const Case& c : all) {
    const Feeds feeds = feeds_of(c);
    const auto got = results_of(c, true, feeds), wanted = results_of(c, false, feeds);
    ASSERT_EQ(got.size(), wanted.size());
    for (size_t i = 0; i < got.size(); ++i) {
      ASSERT_EQ(got[i].shape(), wanted[i].shape()) << text(c) << ", output " << i;
      if (c.x.num_elements() > 0)
        for (int64_t k = 0; k < got[i].NumElements(); ++k)
          ASSERT_NEAR(got[i].flat<float>()(k), wanted[i].flat<float>()(k), c.type == tf::DT_FLOAT ? 1e-5 : 1e-2)
              << text(c) << ", output " << i;
      else
        EXPECT_TRUE(same_bits(got[i], wanted[i])) << text(c) << ", output " << i;
    }
  }
}

TEST_F(DepthwiseNormalizeGrad, ShowsNaNsAsTheTwoDo) {
  for (const Case& c : cases_of({2, 14, 13, 48})) {
    Feeds feeds = feeds_of(c);
    feeds[1].second.tensor<float, 4>()(1, 3, 4, 5) = NAN;
    feeds[2 + c.num_more].second.tensor<float, 4>()(0, 7, 5, 9) = INFINITY;
    const auto got = results_of(c, true, feeds), wanted = results_of(c, false, feeds);
    ASSERT_EQ(got.size(), wanted.size());
    for (size_t i = 0; i < got.size(); ++i) {
      int64_t others = 0;
      for (int64_t k = 0; k < got[i].NumElements(); ++k)
        others += std::isfinite(got[i].flat<float>()(k)) != std::isfinite(wanted[i].flat<float>()(k));
      EXPECT_EQ(others, 0) << text(c) << ", output " << i;
    }
  }
}

TEST_F(DepthwiseNormalizeGrad, SaysWhatIsWrong) {
  struct Wrong {
    Case c;
    std::string input;  // that has another shape, "" for none
    tf::TensorShape shape;
    std::vector<std::string> words;  // of the message
  };
  const Case plain, all{{2, 14, 13, 48}, 3, 1, "SAME", tf::DT_FLOAT, "Relu", 1, 1},
      two{{2, 14, 13, 48}, 3, 1, "SAME", tf::DT_FLOAT, "Relu", 2};
  const std::string name = "MoxDepthwiseConvolutionNormalizeGrad: no kernel";
  std::vector<Wrong> wrongs = {
      {two, "", {}, {"num_more is 0 or 1, not 2"}},
      {plain, "filter", {4, 4, 48, 1}, {name, "[4,4,48,1]"}},
      {plain, "filter", {3, 3, 48, 2}, {name, "[3,3,48,2]"}},
      {plain, "filter", {3, 3, 40, 1}, {"[2,14,13,48]", "[3,3,40,1]"}},
      {{{2, 14, 13, 48}, 3, 3}, "", {}, {name, "stride 3"}},
      {plain, "dz", {2, 14, 12, 48}, {"expected [2,14,13,48], got [2,14,12,48]"}},
      {{{2, 14, 13, 48}, 3, 2}, "dz", {2, 14, 13, 48}, {"expected [2,7,7,48], got [2,14,13,48]"}},
      {plain, "x", {364, 48}, {"batch norm: expected [batch, height, width, channels]", "[364,48]"}},
      {all, "more0", {2, 13, 14, 48}, {"gradient of batch norm: input 2", "[2,13,14,48]", "[2,14,13,48]"}},
      {all, "y0", {2, 14, 13, 47}, {"gradient of batch norm: input 4", "[2,14,13,47]", "[2,14,13,48]"}}};
  for (const std::string& vector : kParameters)
    wrongs.push_back({all, vector, {47}, {"batch norm: expected " + vector + " of 48 channels", "[47]"}});
  for (const Wrong& wrong : wrongs) {
    Feeds feeds = feeds_of(wrong.c);
    for (auto& [input, tensor] : feeds)
      if (input == wrong.input) tensor = random_tensor(wrong.shape, 1);
    std::vector<tf::Tensor> results;
    const absl::Status status = run_plainly(graph_of(wrong.c, true).graph, feeds, {"dx"}, &results);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << text(wrong.c) << ": " << status;
    for (const std::string& word : wrong.words)
      EXPECT_NE(status.message().find(word), std::string::npos) << word << " is not in: " << status.message();
  }
  // Its rows are not told of before they are rounded.
  tf::GraphDef strided = graph_of(all, true).graph;
  for (tf::NodeDef& node : *strided.mutable_node())
    if (node.name() == "node") tf::SetAttrValue(2, &(*node.mutable_attr())["more_stride"]);
  std::vector<tf::Tensor> results;
  const absl::Status status = run_plainly(strided, feeds_of(all), {"dx"}, &results);
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_NE(status.message().find("MoxDepthwiseConvolutionNormalizeGrad: more_stride is 1, not 2"), std::string::npos)
      << status.message();
}

}  // namespace
}  // namespace mox::kernels
