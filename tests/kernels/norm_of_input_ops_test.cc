// Convolutions and gradients of filters that normalise what they read (num_norm), against MoxNormalize before them.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/norm_graphs.h"

namespace mox::kernels {
namespace {

namespace tf = tensorflow;
using namespace testing;

using NormOfInputOps = ConvolutionOps;

struct Case {
  tf::TensorShape x{2, 14, 13, 48};
  int64_t filters = 32;  // 0: depthwise
  int64_t size = 1, stride = 1;
  tf::DataType type = tf::DT_FLOAT;
  std::string activation = "Relu", padding = "SAME";
  bool of_filter = false;    // the gradient of the filter
  bool has_epilogue = true;  // a bias and a ReLU behind the convolution, and its moments
};

std::string op_of(const Case& c) {
  return std::string(c.filters == 0 ? "MoxDepthwiseConvolution" : "MoxConvolution") +
         (c.of_filter ? "FilterGradient" : "");
}

std::string text(const Case& c) {
  return fmt::format("{} of {}, {} filters of {}, stride {}, {}, '{}' in {}", op_of(c), c.x.DebugString(), c.filters,
                     c.size, c.stride, c.padding, c.activation, tf::DataTypeString(c.type));
}

tf::TensorShape shape_of_filter(const Case& c) {
  return {c.size, c.size, c.x.dim_size(3), c.filters == 0 ? 1 : c.filters};
}
tf::TensorShape shape_of_dy(const Case& c) {
  const auto side = [&](int64_t in) {
    return c.padding == "SAME" ? (in + c.stride - 1) / c.stride : (in - c.size + c.stride) / c.stride;
  };
  return {c.x.dim_size(0), side(c.x.dim_size(1)), side(c.x.dim_size(2)), c.filters == 0 ? c.x.dim_size(3) : c.filters};
}

bool is_fast(const Case& c) {
  return c.filters == 0 || convolutions::is_fast(c.of_filter ? convolutions::Direction::kFilterGradient
                                                             : convolutions::Direction::kForward,
                                                 {.channels = c.x.dim_size(3),
                                                  .filters = c.filters,
                                                  .filter_height = c.size,
                                                  .filter_width = c.size,
                                                  .stride = c.stride},
                                                 c.type == tf::DT_FLOAT);
}

const std::vector<std::string> kParameters = {"mean", "variance", "scale", "offset"};

struct Graph {
  tf::GraphDef graph;
  std::vector<std::string> fetches;
};

// `num_norm` 0: MoxNormalize before "node", else as many vectors.
Graph graph_of(const Case& c, int num_norm) {
  Graph to;
  tf::GraphDef* graph = &to.graph;
  const std::string x = add_input(graph, "x", c.type);
  for (const std::string& name : kParameters)
    NodeMaker(graph, name, "Placeholder").attr("dtype", tf::DT_FLOAT).attr("shape", tf::PartialTensorShape());
  if (num_norm == 0) {
    NodeMaker norm(graph, "normalized", "MoxNormalize");
    norm.input(x);
    for (const std::string& name : kParameters) norm.input(name);
    norm.attr("T", c.type).attr("num_side", 0).attr("epsilon", 1e-3f).attr("activation", c.activation);
  }
  std::vector<std::string> inputs = {num_norm == 0 ? "normalized" : x};
  if (c.of_filter) {
    NodeMaker(graph, "sizes", "Const").attr("dtype", tf::DT_INT32).attr("value", sizes_of(shape_of_filter(c)));
    inputs.push_back("sizes");
    inputs.push_back(add_input(graph, "dy", c.type));
  } else {
    inputs.push_back(add_input(graph, "filter", c.type));
    if (c.has_epilogue) inputs.push_back(add_input(graph, "bias", c.type));
  }
  NodeMaker node(graph, "node", op_of(c));
  for (const std::string& input : inputs) node.input(input);
  for (int i = 0; i < num_norm; ++i) node.input(kParameters[i % 4]);
  node.attr("T", c.type).attr("stride", c.stride).attr("padding", c.padding);
  if (num_norm > 0) node.attr("num_norm", num_norm).attr("norm_epsilon", 1e-3f).attr("norm_activation", c.activation);
  if (c.of_filter && c.filters > 0) node.attr("Tdfilter", c.type);
  if (!c.of_filter && c.has_epilogue) node.attr("num_bias", 1).attr("activation", "Relu").attr("num_moments", 3);
  to.fetches = {add_float(graph, "result", "node", c.type)};
  if (!c.of_filter && c.has_epilogue) to.fetches.insert(to.fetches.end(), {"node:1", "node:2", "node:3"});
  return to;
}

Feeds feeds_of(const Case& c) {
  const int64_t channels = c.x.dim_size(3);
  Feeds feeds = {{"x", random_tensor(c.x, 1, -2, 2)},
                 {"mean", random_tensor({channels}, 11, -0.5f, 0.5f)},
                 {"variance", random_tensor({channels}, 12, 0.2f, 2)},
                 {"scale", random_tensor({channels}, 13, -1.5f, 3)},
                 {"offset", random_tensor({channels}, 14, -1, 4)}};
  if (c.of_filter)
    feeds.emplace_back("dy", random_tensor(shape_of_dy(c), 2));
  else
    feeds.emplace_back("filter", random_tensor(shape_of_filter(c), 3, -0.3f, 0.3f));
  if (!c.of_filter && c.has_epilogue) feeds.emplace_back("bias", random_tensor({shape_of_dy(c).dim_size(3)}, 4));
  return feeds;
}

std::vector<tf::Tensor> results_of(const Graph& graph, const Feeds& feeds, const std::string& name, int threads = 2) {
  std::vector<tf::Tensor> results;
  const absl::Status status = run_plainly(graph.graph, feeds, graph.fetches, &results, threads);
  EXPECT_TRUE(status.ok()) << name << ": " << status.message();
  return results;
}

// Of each kind: all activations and types.
std::vector<Case> cases_of(const tf::TensorShape& x) {
  std::vector<Case> all;
  for (const tf::DataType type : {tf::DT_FLOAT, tf::DT_BFLOAT16})
    for (const std::string activation : {"", "Relu", "Relu6"})
      for (const bool of_filter : {false, true}) {
        for (const int64_t filters : {32, 24})
          if (const Case c{x, filters, 1, 1, type, activation, "SAME", of_filter, filters == 32}; is_fast(c))
            all.push_back(c);
        for (const int64_t size : {3, 5, 7})
          for (const int64_t stride : {1, 2})
            all.push_back({x, 0, size, stride, type, activation, size == 5 ? "VALID" : "SAME", of_filter, size == 3});
      }
  return all;
}

// But for a product that is fused with a sum, and what that rounds to the neighbour of bfloat16.
TEST_F(NormOfInputOps, GiveWhatMoxNormalizeDoes) {
  for (const tf::TensorShape& x :
       {tf::TensorShape{2, 14, 13, 48}, tf::TensorShape{3, 31, 29, 18}, tf::TensorShape{1, 7, 7, 600}})
    for (const Case& c : cases_of(x)) {
      const Feeds feeds = feeds_of(c);
      const auto got = results_of(graph_of(c, 4), feeds, text(c)), wanted = results_of(graph_of(c, 0), feeds, text(c));
      ASSERT_EQ(got.size(), wanted.size());
      for (size_t i = 0; i < got.size(); ++i) {
        const double bound = c.type == tf::DT_FLOAT ? 2e-6 : i > 0 ? 1e-3 : 1 / 200.0;
        EXPECT_LE(relative_difference(got[i], wanted[i]), bound) << text(c) << ", output " << i;
        EXPECT_GT(max_abs(wanted[i]), 0) << text(c) << " shows nothing";
      }
    }
}

TEST_F(NormOfInputOps, AreTheSameWhateverTheThreads) {
  for (const Case& c : cases_of({3, 31, 29, 40})) {
    if (c.activation == "Relu6") continue;
    const Feeds feeds = feeds_of(c);
    const auto one = results_of(graph_of(c, 4), feeds, text(c), 1);
    for (const int threads : {2, 7}) {
      const auto more = results_of(graph_of(c, 4), feeds, text(c), threads);
      for (size_t i = 0; i < one.size(); ++i)
        EXPECT_TRUE(same_bits(one[i], more[i])) << text(c) << ", output " << i << ", " << threads << " threads";
    }
  }
}

// No images, one pixel, and what is not finite, as with MoxNormalize. Of no images the moments are NaNs.
TEST_F(NormOfInputOps, TakeWhatMoxNormalizeTakes) {
  for (const tf::TensorShape& x :
       {tf::TensorShape{0, 14, 13, 48}, tf::TensorShape{1, 1, 1, 48}, tf::TensorShape{2, 5, 9, 48}})
    for (const Case& c : cases_of(x)) {
      if (c.padding == "VALID" && x.dim_size(1) < c.size) continue;
      Feeds feeds = feeds_of(c);
      if (x.dim_size(0) == 2) {
        auto values = feeds[0].second.tensor<float, 4>();
        values(0, 2, 3, 5) = NAN;
        values(1, 4, 8, 47) = INFINITY;
        values(0, 0, 0, 0) = -INFINITY;
      }
      const auto got = results_of(graph_of(c, 4), feeds, text(c)), wanted = results_of(graph_of(c, 0), feeds, text(c));
      ASSERT_EQ(got.size(), wanted.size());
      for (size_t i = 0; i < got.size(); ++i) {
        ASSERT_EQ(got[i].shape(), wanted[i].shape()) << text(c);
        int64_t others = 0;
        for (int64_t k = 0; k < got[i].NumElements(); ++k)
          others += std::isfinite(got[i].flat<float>()(k)) != std::isfinite(wanted[i].flat<float>()(k));
        EXPECT_EQ(others, 0) << text(c) << ", output " << i;
      }
    }
}

TEST_F(NormOfInputOps, SayWhatIsWrong) {
  struct Wrong {
    Case c;
    int num_norm;
    std::string input;  // that has another shape, "" for none
    tf::TensorShape shape;
    std::vector<std::string> words;  // of the message
  };
  const Case pointwise, depthwise{{2, 14, 13, 48}, 0, 3};
  std::vector<Wrong> wrongs;
  for (Case c : {pointwise, depthwise})
    for (const bool of_filter : {false, true}) {
      c.of_filter = of_filter;
      for (const int num_norm : {1, 3, 5})
        wrongs.push_back({c, num_norm, "", {}, {fmt::format("num_norm is 0 or 4, not {}", num_norm)}});
      for (const std::string& name : kParameters) {
        wrongs.push_back({c, 4, name, {47}, {"batch norm: expected " + name + " of 48 channels", "[47]"}});
        wrongs.push_back({c, 4, name, {1, 48}, {"batch norm: expected " + name + " of 48 channels", "[1,48]"}});
      }
      if (c.filters == 0) continue;
      for (const auto& [size, stride] : {std::pair<int64_t, int64_t>{1, 2}, {3, 1}}) {
        Case other = c;
        other.size = size;
        other.stride = stride;
        wrongs.push_back({other,
                          4,
                          "",
                          {},
                          {"a batch norm of its input goes with filters of 1x1 and stride 1",
                           fmt::format("not of {}x{} and {}", size, size, stride)}});
      }
    }
  for (const Wrong& wrong : wrongs) {
    Feeds feeds = feeds_of(wrong.c);
    for (auto& [name, tensor] : feeds)
      if (name == wrong.input) tensor = random_tensor(wrong.shape, 1);
    std::vector<tf::Tensor> results;
    const absl::Status status = run_plainly(graph_of(wrong.c, wrong.num_norm).graph, feeds, {"result"}, &results);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << text(wrong.c) << ": " << status;
    for (const std::string& word : wrong.words)
      EXPECT_NE(status.message().find(word), std::string::npos) << word << " is not in: " << status.message();
  }
}

}  // namespace
}  // namespace mox::kernels
