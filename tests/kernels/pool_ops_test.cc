// MoxMaxPool, its gradient and that of AvgPool, as TensorFlow runs them, against its own.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/convolution_graphs.h"

namespace mox::kernels {
namespace {

namespace tf = tensorflow;
using testing::run;
using testing::sizes_of;
using Feeds = GraphSession::Feeds;

struct Pool {
  tf::TensorShape x;
  std::vector<int64_t> window, strides;  // height, width
  std::string padding = "SAME";
  tf::DataType type = tf::DT_FLOAT;
  bool positive = false;

  std::string text() const {
    return fmt::format("{} window {}x{} strides {}x{} {} {}", x.DebugString(), window[0], window[1], strides[0],
                       strides[1], padding, tf::DataTypeString(type));
  }
  tf::TensorShape results() const {
    const auto side = [&](int i) {
      return padding == "SAME" ? (x.dim_size(i + 1) + strides[i] - 1) / strides[i]
                               : (x.dim_size(i + 1) - window[i] + strides[i]) / strides[i];
    };
    return {x.dim_size(0), side(0), side(1), x.dim_size(3)};
  }
};

NodeMaker& pooling(NodeMaker& node, const Pool& pool, tf::DataType type) {
  return node.attr("T", type)
      .attr("ksize", std::vector<int64_t>{1, pool.window[0], pool.window[1], 1})
      .attr("strides", std::vector<int64_t>{1, pool.strides[0], pool.strides[1], 1})
      .attr("padding", pool.padding);
}

// "max", "max/dx" and "avg/dx" of "x", "sizes" and "dy", in float32.
tf::GraphDef ours(const Pool& pool) {
  tf::GraphDef graph;
  for (const std::string name : {"x", "dy"}) {
    NodeMaker(&graph, name, "Placeholder").attr("dtype", tf::DT_FLOAT);
    NodeMaker(&graph, name + "/T", "Cast").input(name).attr("SrcT", tf::DT_FLOAT).attr("DstT", pool.type);
  }
  NodeMaker(&graph, "sizes", "Placeholder").attr("dtype", tf::DT_INT32);
  NodeMaker(&graph, "places", "Placeholder").attr("dtype", tf::DT_UINT8);
  pooling(NodeMaker(&graph, "node/max", "MoxMaxPool").input("x/T"), pool, pool.type).attr("positive", pool.positive);
  pooling(NodeMaker(&graph, "node/max/dx", "MoxMaxPoolGrad").input("sizes").input("node/max:1").input("dy/T"), pool,
          pool.type);
  pooling(NodeMaker(&graph, "node/dx_of_places", "MoxMaxPoolGrad").input("sizes").input("places").input("dy/T"), pool,
          pool.type);
  pooling(NodeMaker(&graph, "node/avg/dx", "MoxAvgPoolGrad").input("sizes").input("dy/T"), pool, pool.type);
  for (const std::string name : {"max", "max/dx", "dx_of_places", "avg/dx"})
    NodeMaker(&graph, name, "Cast").input("node/" + name).attr("SrcT", pool.type).attr("DstT", tf::DT_FLOAT);
  return graph;
}

// The same of TensorFlow in float32 of the inputs as rounded to the type.
tf::GraphDef theirs(const Pool& pool) {
  tf::GraphDef graph;
  for (const std::string name : {"x", "dy"}) {
    NodeMaker(&graph, name, "Placeholder").attr("dtype", tf::DT_FLOAT);
    NodeMaker(&graph, name + "/T", "Cast").input(name).attr("SrcT", tf::DT_FLOAT).attr("DstT", pool.type);
    NodeMaker(&graph, name + "/32", "Cast").input(name + "/T").attr("SrcT", pool.type).attr("DstT", tf::DT_FLOAT);
  }
  NodeMaker(&graph, "sizes", "Placeholder").attr("dtype", tf::DT_INT32);
  pooling(NodeMaker(&graph, "max", "MaxPool").input("x/32"), pool, tf::DT_FLOAT);
  pooling(NodeMaker(&graph, "max/dx", "MaxPoolGrad").input("x/32").input("max").input("dy/32"), pool, tf::DT_FLOAT);
  pooling(NodeMaker(&graph, "avg/dx", "AvgPoolGrad").input("sizes").input("dy/32"), pool, tf::DT_FLOAT);
  return graph;
}

const std::vector<std::string> kFetches = {"max", "max/dx", "avg/dx"};

Feeds feeds_of(const Pool& pool) {
  return {{"x", random_tensor(pool.x, 1)}, {"dy", random_tensor(pool.results(), 2)}, {"sizes", sizes_of(pool.x)}};
}

std::vector<tf::Tensor> results_of(const tf::GraphDef& graph, const Feeds& feeds,
                                   const std::vector<std::string>& fetches, int threads = 0) {
  std::vector<tf::Tensor> results;
  const absl::Status status = run(graph, feeds, fetches, &results, threads);
  EXPECT_TRUE(status.ok()) << status.message();
  if (!status.ok()) results.resize(fetches.size(), tf::Tensor(tf::DT_FLOAT, {0}));
  return results;
}

bool is_same(const tf::Tensor& a, const tf::Tensor& b) {
  return a.shape() == b.shape() && std::memcmp(a.data(), b.data(), a.TotalBytes()) == 0;
}

std::vector<Pool> pools() {
  return {{{2, 12, 14, 32}, {2, 2}, {2, 2}},
          {{2, 13, 15, 17}, {2, 2}, {2, 2}},
          {{2, 13, 15, 17}, {2, 2}, {2, 2}, "VALID"},
          {{2, 17, 19, 64}, {3, 3}, {2, 2}, "VALID"},
          {{2, 17, 18, 40}, {3, 3}, {2, 2}},
          {{1, 9, 11, 130}, {3, 3}, {1, 1}},
          {{3, 9, 8, 1}, {3, 3}, {1, 1}},
          {{3, 9, 8, 3}, {3, 3}, {2, 2}, "VALID"},
          {{2, 17, 17, 48}, {5, 5}, {3, 3}, "VALID"},
          {{2, 8, 8, 80}, {8, 8}, {1, 1}, "VALID"},
          {{2, 8, 8, 5}, {8, 8}, {1, 1}},
          {{2, 10, 9, 20}, {3, 2}, {1, 2}},
          {{2, 10, 9, 20}, {1, 4}, {2, 3}, "VALID"},
          {{2, 11, 13, 16}, {2, 2}, {3, 4}, "VALID"},
          {{2, 11, 13, 16}, {1, 2}, {3, 5}},
          {{2, 4, 3, 33}, {7, 5}, {2, 1}},
          {{1, 1, 1, 18}, {3, 3}, {2, 2}}};
}

TEST(PoolOps, ComputeWhatTensorFlowComputes) {
  for (Pool pool : pools())
    for (const tf::DataType type : {tf::DT_FLOAT, tf::DT_BFLOAT16}) {
      pool.type = type;
      const Feeds feeds = feeds_of(pool);
      const std::vector<tf::Tensor> expected = results_of(theirs(pool), feeds, kFetches),
                                    got = results_of(ours(pool), feeds, kFetches);
      EXPECT_TRUE(is_same(got[0], expected[0])) << pool.text();
      for (size_t i = 0; i < kFetches.size(); ++i)
        EXPECT_LE(relative_difference(got[i], expected[i]), type == tf::DT_FLOAT ? 1e-6 : 1 / 256.0)
            << kFetches[i] << " " << pool.text();
    }
}

TEST(PoolOps, DoNotDependOnThreads) {
  for (const tf::DataType type : {tf::DT_FLOAT, tf::DT_BFLOAT16}) {
    Pool pool{{5, 41, 43, 72}, {3, 3}, {2, 2}, "SAME", type};
    const std::vector<tf::Tensor> one = results_of(ours(pool), feeds_of(pool), kFetches, 1);
    for (const int threads : {2, 3, 7}) {
      const std::vector<tf::Tensor> more = results_of(ours(pool), feeds_of(pool), kFetches, threads);
      for (size_t i = 0; i < kFetches.size(); ++i) EXPECT_TRUE(is_same(more[i], one[i])) << kFetches[i] << threads;
    }
  }
}

float at(const tf::Tensor& t, int64_t row, int64_t column, int64_t channel) {
  return t.tensor<float, 4>()(0, row, column, channel);
}

// Of a constant image every window has its gradient at its first place.
TEST(PoolOps, GiveTheGradientToTheFirstOfEqualNumbers) {
  for (const tf::DataType type : {tf::DT_FLOAT, tf::DT_BFLOAT16})
    for (const int64_t channels : {3, 64})
      for (const int64_t size : {2, 3, 4}) {
        const Pool pool{{1, 3 * size, 3 * size, channels}, {size, size}, {size, size}, "VALID", type};
        Feeds feeds = feeds_of(pool);
        feeds[0].second.flat<float>().setConstant(-2);
        feeds[1].second.flat<float>().setConstant(1);
        const std::vector<tf::Tensor> got = results_of(ours(pool), feeds, kFetches);
        for (int64_t i = 0; i < 3 * size; ++i)
          for (int64_t j = 0; j < 3 * size; ++j)
            for (int64_t c = 0; c < channels; ++c)
              ASSERT_EQ(at(got[1], i, j, c), i % size == 0 && j % size == 0 ? 1 : 0) << i << " " << j << pool.text();
        EXPECT_EQ(max_abs(got[0]), 2);
      }
}

// Wherever it is in its window, and of either sign; one place gets the gradient. Infinities are numbers.
TEST(PoolOps, KeepNaNs) {
  const float kNaN = std::numeric_limits<float>::quiet_NaN(), kInfinity = std::numeric_limits<float>::infinity();
  for (const tf::DataType type : {tf::DT_FLOAT, tf::DT_BFLOAT16})
    for (const int64_t channels : {3, 64})
      for (const int64_t size : {2, 3, 4})
        for (int64_t place = 0; place < size * size; ++place) {
          const Pool pool{{1, size, 2 * size, channels}, {size, size}, {size, size}, "VALID", type};
          Feeds feeds = feeds_of(pool);
          auto x = feeds[0].second.tensor<float, 4>();
          for (int64_t c = 0; c < channels; ++c) {
            x(0, 0, 0, c) = kInfinity;
            x(0, place / size, place % size, c) = c % 2 == 0 ? kNaN : -kNaN;
            for (int64_t i = 0; i < size * size; ++i) x(0, i / size, size + i % size, c) = -kInfinity;
          }
          feeds[1].second.flat<float>().setConstant(1);
          const std::vector<tf::Tensor> got = results_of(ours(pool), feeds, kFetches);
          for (int64_t c = 0; c < channels; ++c) {
            EXPECT_TRUE(std::isnan(at(got[0], 0, 0, c))) << place << " " << pool.text();
            EXPECT_EQ(at(got[0], 0, 1, c), -kInfinity) << place << " " << pool.text();
            float sums[2] = {0, 0};
            for (int64_t i = 0; i < size; ++i)
              for (int64_t j = 0; j < 2 * size; ++j) sums[j / size] += at(got[1], i, j, c);
            EXPECT_EQ(sums[0], 1) << place << " " << pool.text();
            EXPECT_EQ(sums[1], 1) << place << " " << pool.text();
          }
        }
}

// With `positive` the gradient is that of a ReLU with the result x, too.
TEST(PoolOps, GiveNoGradientToWhatAReluCutOff) {
  for (Pool pool : pools())
    for (const tf::DataType type : {tf::DT_FLOAT, tf::DT_BFLOAT16}) {
      pool.type = type;
      pool.positive = true;
      Feeds feeds = feeds_of(pool);
      auto x = feeds[0].second.flat<float>();
      for (int64_t i = 0; i < x.size(); ++i) x(i) = std::max(x(i) - 0.6f, 0.f);
      const std::vector<tf::Tensor> theirs_got = results_of(theirs(pool), feeds, {"max/dx", "max"});
      tf::Tensor expected = theirs_got[0];
      for (int64_t i = 0; i < x.size(); ++i)
        if (!(x(i) > 0)) expected.flat<float>()(i) = 0;
      const std::vector<tf::Tensor> got = results_of(ours(pool), feeds, {"max/dx", "max"});
      EXPECT_LE(relative_difference(got[0], expected), type == tf::DT_FLOAT ? 1e-6 : 1 / 256.0) << pool.text();
      EXPECT_TRUE(is_same(got[1], theirs_got[1])) << pool.text();
    }
}

TEST(PoolOps, TakeImagesOfNothing) {
  for (const tf::TensorShape& shape : {tf::TensorShape{0, 9, 9, 8}, tf::TensorShape{2, 9, 9, 0}}) {
    const Pool pool{shape, {3, 3}, {2, 2}};
    const std::vector<tf::Tensor> got = results_of(ours(pool), feeds_of(pool), kFetches);
    EXPECT_EQ(got[0].shape(), pool.results());
    for (const size_t i : {1, 2}) EXPECT_EQ(got[i].shape(), pool.x);
  }
  // One smaller than the window: no results, and no gradients.
  const Pool pool{{2, 2, 5, 8}, {3, 3}, {1, 1}, "VALID"};
  const std::vector<tf::Tensor> got = results_of(ours(pool), feeds_of(pool), kFetches);
  EXPECT_EQ(got[0].shape(), tf::TensorShape({2, 0, 3, 8}));
  for (const size_t i : {1, 2}) EXPECT_EQ(max_abs(got[i]), 0);
}

struct Wrong {
  Pool pool;
  std::string fetch;
  Feeds feeds;
  std::vector<std::string> words;  // of the message
};

TEST(PoolOps, SayWhatIsWrong) {
  const auto images = [](std::initializer_list<int64_t> shape) { return random_tensor(tf::TensorShape(shape), 1); };
  const auto places = [](std::initializer_list<int64_t> shape) {
    tf::Tensor t(tf::DT_UINT8, tf::TensorShape(shape));
    t.flat<uint8_t>().setZero();
    return t;
  };
  const auto sizes = [](std::initializer_list<int64_t> shape) {
    tf::Tensor t(tf::DT_INT32, {static_cast<int64_t>(shape.size())});
    std::copy(shape.begin(), shape.end(), t.vec<int32_t>().data());
    return t;
  };
  const Pool pool{{2, 8, 8, 4}, {2, 2}, {2, 2}}, large{{2, 20, 20, 4}, {16, 16}, {1, 1}},
      valid{{2, 2, 8, 4}, {4, 2}, {1, 1}, "VALID"}, no_stride{{2, 8, 8, 4}, {2, 2}, {0, 2}};
  const std::vector<Wrong> wrongs = {
      {pool, "max", {{"x", images({8, 8, 4})}}, {"node/max", "[batch, height, width, channels]", "[8,8,4]"}},
      {valid, "max", {{"x", images({2, 2, 8, 4})}}, {"negative"}},
      {large, "max", {{"x", images({2, 20, 20, 4})}}, {"node/max", "255", "16 x 16"}},
      {no_stride, "max", {{"x", images({2, 8, 8, 4})}}, {""}},
      {pool, "avg/dx", {{"sizes", sizes({8, 8, 4})}, {"dy", images({2, 4, 4, 4})}}, {"four sizes", "[3]"}},
      {pool, "avg/dx", {{"sizes", sizes({2, -8, 8, 4})}, {"dy", images({2, 4, 4, 4})}}, {"-8"}},
      {pool,
       "avg/dx",
       {{"sizes", sizes({2, 8, 8, 4})}, {"dy", images({2, 4, 5, 4})}},
       {"node/avg/dx", "gradients", "[2,4,5,4]", "expected [2,4,4,4]"}},
      {pool,
       "dx_of_places",
       {{"sizes", sizes({2, 8, 8, 4})}, {"places", places({2, 4, 4, 4})}, {"dy", images({2, 4, 4, 3})}},
       {"gradients", "[2,4,4,3]", "expected [2,4,4,4]"}},
      {pool,
       "dx_of_places",
       {{"sizes", sizes({2, 8, 8, 4})}, {"places", places({2, 4, 4, 3})}, {"dy", images({2, 4, 4, 4})}},
       {"places", "[2,4,4,3]", "expected [2,4,4,4]"}},
      {large,
       "dx_of_places",
       {{"sizes", sizes({2, 20, 20, 4})}, {"places", places({2, 20, 20, 4})}, {"dy", images({2, 20, 20, 4})}},
       {"255", "16 x 16"}}};
  for (const Wrong& wrong : wrongs) {
    std::vector<tf::Tensor> results;
    const absl::Status status = run(ours(wrong.pool), wrong.feeds, {wrong.fetch}, &results);
    ASSERT_FALSE(status.ok()) << wrong.fetch << " " << wrong.pool.text();
    for (const std::string& word : wrong.words)
      EXPECT_NE(std::string(status.message()).find(word), std::string::npos) << word << ": " << status.message();
  }
}

}  // namespace
}  // namespace mox::kernels
