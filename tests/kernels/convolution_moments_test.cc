// The moments that MoxConvolution gives of its output (kernels/moments_of_output.h).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/norm_graphs.h"

namespace mox::kernels {
namespace {

namespace tf = tensorflow;
using namespace testing;

using ConvolutionMoments = ConvolutionOps;

struct Case {
  tf::TensorShape x, filter;
  int64_t stride = 1;
  std::string padding = "SAME";
  bool has_bias = false;
  std::string activation;
  bool is_filter_const = false;
  float mean = 0;  // of the bias: about that of the output
  tf::DataType type = tf::DT_FLOAT;
};

std::string text(const Case& c) {
  return fmt::format("{} with {} to stride {} {} {}{} around {} in {}", c.x.DebugString(), c.filter.DebugString(),
                     c.stride, c.padding, c.has_bias ? "with a bias " : "", c.activation, c.mean,
                     tf::DataTypeString(c.type));
}

bool is_fast(const Case& c) {
  return convolutions::is_fast(convolutions::Direction::kForward,
                               {.channels = c.filter.dim_size(2),
                                .filters = c.filter.dim_size(3),
                                .filter_height = c.filter.dim_size(0),
                                .filter_width = c.filter.dim_size(1),
                                .stride = c.stride},
                               c.type == tf::DT_FLOAT);
}

// "with", with num_moments moments, and "without"; "y_with" and "y_without" in float32; "moments", of MoxMoments.
tf::GraphDef graph_of(const Case& c, int num_moments) {
  tf::GraphDef graph;
  std::vector<std::string> inputs = {add_input(&graph, "x", c.type), add_input(&graph, "filter", c.type)};
  if (c.has_bias) inputs.push_back(add_input(&graph, "bias", c.type));
  for (const std::string name : {"with", "without"}) {
    NodeMaker node(&graph, name, "MoxConvolution");
    for (const std::string& input : inputs) node.input(input);
    node.attr("T", c.type)
        .attr("num_bias", c.has_bias ? 1 : 0)
        .attr("num_moments", name == "with" ? num_moments : 0)
        .attr("stride", c.stride)
        .attr("padding", c.padding)
        .attr("activation", c.activation)
        .attr("is_filter_const", c.is_filter_const);
    add_float(&graph, "y_" + name, name, c.type);
  }
  NodeMaker(&graph, "moments", "MoxMoments").input("without").attr("T", c.type);
  return graph;
}

Feeds feeds_of(const Case& c) {
  Feeds feeds = {{"x", random_tensor(c.x, 1)}, {"filter", random_tensor(c.filter, 2)}};
  if (c.has_bias) feeds.emplace_back("bias", random_tensor({c.filter.dim_size(3)}, 3, -c.mean - 0.3f, -c.mean + 0.3f));
  return feeds;
}

const std::vector<std::string> kFetches = {"y_with",    "with:1",    "with:2",    "with:3",
                                           "y_without", "moments:0", "moments:1", "moments:2"};

std::vector<tf::Tensor> results_of(const Case& c, int threads = 2) {
  std::vector<tf::Tensor> results;
  const absl::Status status = run_plainly(graph_of(c, 3), feeds_of(c), kFetches, &results, threads);
  EXPECT_TRUE(status.ok()) << text(c) << ": " << status.message();
  return results;
}

// Of y [.., channel], in double.
struct Exact {
  double mean = 0, variance = 0;
};
Exact exact_moments(const tf::Tensor& y, int64_t channel) {
  const auto rows = y.flat_inner_dims<float>();
  const double count = static_cast<double>(rows.dimension(0));
  Exact exact;
  for (int64_t r = 0; r < rows.dimension(0); ++r) exact.mean += rows(r, channel) / count;
  for (int64_t r = 0; r < rows.dimension(0); ++r)
    exact.variance += (rows(r, channel) - exact.mean) * (rows(r, channel) - exact.mean) / count;
  return exact;
}

// Means in units of the deviation or of themselves, whichever is larger; variances relative. `got`: three vectors.
void expect_moments(const tf::Tensor* got, const tf::Tensor& y, double bound, const std::string& name) {
  const int64_t channels = y.dim_size(3), rows = y.NumElements() / channels;
  double worst_mean = 0, worst_variance = 0;
  for (int i = 0; i < 3; ++i) ASSERT_EQ(got[i].shape(), tf::TensorShape({channels})) << name;
  for (int64_t c = 0; c < channels; ++c) {
    const Exact exact = exact_moments(y, c);
    const double unit = std::max(std::abs(exact.mean), std::sqrt(exact.variance)),
                 variance = std::max(exact.variance, 1e-30), less = static_cast<double>(std::max<int64_t>(rows - 1, 1)),
                 unbiased = variance * static_cast<double>(rows) / less;
    const auto add = [](double error, double* to) { *to = std::isnan(error) ? 1e30 : std::max(*to, error); };
    add(std::abs(got[0].flat<float>()(c) - exact.mean) / std::max(unit, 1e-30), &worst_mean);
    add(std::abs(got[1].flat<float>()(c) - unbiased) / unbiased, &worst_variance);
    add(std::abs(got[2].flat<float>()(c) - variance) / variance, &worst_variance);
  }
  EXPECT_LE(worst_mean, 1e-5) << name;
  EXPECT_LE(worst_variance, bound) << name;
}

// Both in float32 and bfloat16, where there is a kernel.
std::vector<Case> in_types(const std::vector<Case>& cases) {
  std::vector<Case> all;
  for (Case c : cases)
    for (const tf::DataType type : {tf::DT_FLOAT, tf::DT_BFLOAT16}) {
      c.type = type;
      if (is_fast(c)) all.push_back(c);
    }
  return all;
}

const std::vector<Case> kCases = {{{2, 33, 31, 48}, {1, 1, 48, 32}},     // in parts of rows
                                  {{1, 130, 101, 16}, {1, 1, 16, 24}},   // more than the most parts of the fewest
                                  {{2, 33, 31, 48}, {1, 1, 48, 40}, 2},  // gathered
                                  {{2, 33, 31, 34}, {1, 1, 34, 33}, 3, "VALID"},               //
                                  {{1, 7, 7, 48}, {1, 1, 48, 304}},                            // few rows
                                  {{1, 7, 7, 48}, {1, 1, 48, 299}},                            //
                                  {{2, 1, 1, 64}, {1, 1, 64, 48}},                             // two rows
                                  {{16, 9, 13, 48}, {3, 3, 48, 32}},                           // Winograd's
                                  {{1, 9, 13, 48}, {3, 3, 48, 32}, 1, "VALID"},                // 3x3 directly
                                  {{2, 33, 31, 48}, {1, 1, 48, 32}, 1, "SAME", true, "Relu"},  // of what is clamped
                                  {{2, 33, 31, 48}, {1, 1, 48, 24}, 2, "SAME", true, "Relu6", true},  //
                                  {{16, 9, 13, 48}, {3, 3, 48, 32}, 1, "SAME", true, "Relu", true}};

TEST_F(ConvolutionMoments, AreThoseOfTheOutput) {
  int64_t tested = 0;
  for (const Case& c : in_types(kCases)) {
    ++tested;
    const auto results = results_of(c);
    ASSERT_EQ(results.size(), kFetches.size());
    EXPECT_TRUE(same_bits(results[0], results[4])) << text(c) << ": y is another with moments";
    expect_moments(&results[1], results[0], 1e-5, text(c));
    expect_moments(&results[5], results[0], 1e-5, text(c) + " by MoxMoments");
  }
  EXPECT_GE(tested, static_cast<int64_t>(kCases.size()));
}

// A bias of 1000 leaves the variance its digits.
TEST_F(ConvolutionMoments, LoseNothingToALargeMean) {
  for (const tf::TensorShape& filter : {tf::TensorShape{1, 1, 48, 32}, tf::TensorShape{3, 3, 48, 32}})
    for (const tf::DataType type : {tf::DT_FLOAT, tf::DT_BFLOAT16}) {
      const Case c{{4, 33, 31, 48}, filter, 1, "SAME", true, "", false, 1000, type};
      if (!is_fast(c)) continue;
      const auto results = results_of(c);
      ASSERT_EQ(results.size(), kFetches.size());
      EXPECT_NEAR(exact_moments(results[0], 5).mean, 1000, 10) << "the mean is not large: the test shows nothing";
      expect_moments(&results[1], results[0], 1e-4, text(c));
    }
}

TEST_F(ConvolutionMoments, AreTheSameWhateverTheThreads) {
  for (const Case& c : in_types(kCases)) {
    const auto one = results_of(c, 1);
    for (const int threads : {2, 3, 7}) {
      const auto more = results_of(c, threads);
      ASSERT_EQ(more.size(), one.size());
      for (size_t i = 0; i < one.size(); ++i)
        EXPECT_TRUE(same_bits(one[i], more[i])) << text(c) << ", " << kFetches[i] << ", " << threads << " threads";
    }
  }
}

// No variance, a NaN, as MoxMoments has it.
TEST_F(ConvolutionMoments, OfNoImagesAreNone) {
  for (const Case& c : in_types({{{0, 9, 13, 48}, {1, 1, 48, 32}}, {{0, 9, 13, 48}, {3, 3, 48, 32}}})) {
    const auto results = results_of(c);
    ASSERT_EQ(results.size(), kFetches.size());
    EXPECT_EQ(results[0].shape(), (tf::TensorShape{0, 9, 13, 32}));
    for (int i = 0; i < 3; ++i) {
      ASSERT_EQ(results[1 + i].shape(), results[5 + i].shape());
      for (int64_t k = 0; k < 32; ++k) {
        const float ours = results[1 + i].flat<float>()(k), theirs = results[5 + i].flat<float>()(k);
        EXPECT_TRUE(std::isnan(theirs) ? std::isnan(ours) : ours == theirs) << ours << ", " << theirs;
        if (i == 2) EXPECT_TRUE(std::isnan(ours));
      }
    }
  }
}

// One NaN of an image is its output's, and that of all channels' moments; y is as without.
TEST_F(ConvolutionMoments, ShowNaNs) {
  for (const Case& c : in_types({{{2, 17, 19, 48}, {1, 1, 48, 40}}, {{2, 17, 19, 48}, {3, 3, 48, 32}}})) {
    Feeds feeds = feeds_of(c);
    feeds[0].second.tensor<float, 4>()(1, 7, 5, 3) = NAN;
    std::vector<tf::Tensor> results;
    TF_CHECK_OK(run_plainly(graph_of(c, 3), feeds, kFetches, &results));
    EXPECT_TRUE(same_bits(results[0], results[4])) << text(c);
    for (int i = 1; i <= 3; ++i)
      for (int64_t k = 0; k < c.filter.dim_size(3); ++k)
        EXPECT_TRUE(std::isnan(results[i].flat<float>()(k))) << text(c) << ", moments " << i;
  }
}

TEST_F(ConvolutionMoments, AreThreeOrNone) {
  for (const int count : {1, 2, 4}) {
    const Case c = kCases[0];
    std::vector<tf::Tensor> results;
    const absl::Status status = run_plainly(graph_of(c, count), feeds_of(c), {"y_with"}, &results);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_NE(status.message().find(fmt::format("num_moments is 0 or 3, not {}", count)), std::string::npos) << status;
    EXPECT_NE(status.message().find("with"), std::string::npos) << "no node is named: " << status;
  }
}

TEST_F(ConvolutionMoments, HaveShapesBeforeAStep) {
  tf::GraphDef graph = ours({}, {{2, 9, -1, 48}, {3, 3, 48, 32}});
  for (tf::NodeDef& node : *graph.mutable_node())
    if (node.name() == "node") tf::SetAttrValue(3, &(*node.mutable_attr())["num_moments"]);
  EXPECT_EQ(shape_of(graph), "[2,9,?,32]");
  for (int i = 1; i <= 3; ++i) EXPECT_EQ(shape_of(graph, i), "[32]");
}

}  // namespace
}  // namespace mox::kernels
