// MoxConvolution and its gradients, as TensorFlow runs them, against its own Conv2D.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <cmath>
#include <thread>

#include "kernels/convolution_graphs.h"

namespace mox::kernels {
namespace {

namespace tf = tensorflow;
using namespace testing;

// TensorFlow's, in float32 from the inputs as rounded to `type`: "theirs".
void add_theirs(const Call& call, tf::GraphDef* graph) {
  const auto rounded = [&](int i) {
    const std::string name = "rounded" + std::to_string(i);
    NodeMaker(graph, name, "Cast")
        .input("in" + std::to_string(i) + "/T")
        .attr("SrcT", call.type)
        .attr("DstT", tf::DT_FLOAT);
    return name;
  };
  NodeMaker node(graph, "theirs/convolution", kTheirs[call.kind]);
  node.attr("T", tf::DT_FLOAT)
      .attr("padding", call.padding)
      .attr("explicit_paddings", call.explicit_paddings())
      .attr("strides", std::vector<int64_t>{1, call.stride, call.stride, 1});
  if (call.kind == kForward) node.input(rounded(0)).input(rounded(1));
  if (call.kind == kInputGradient) node.input("in0").input(rounded(1)).input(rounded(2));
  if (call.kind == kFilterGradient) node.input(rounded(0)).input("in1").input(rounded(2));
  std::string last = "theirs/convolution";
  if (call.num_bias)
    NodeMaker(graph, "theirs/bias", "BiasAdd").input(last).input(rounded(2)).attr("T", tf::DT_FLOAT),
        last = "theirs/bias";
  if (!call.activation.empty())
    NodeMaker(graph, "theirs/activation", call.activation).input(last).attr("T", tf::DT_FLOAT),
        last = "theirs/activation";
  NodeMaker(graph, "theirs", "Identity").input(last).attr("T", tf::DT_FLOAT);
}

Feeds feeds_of(const Call& call, const tf::TensorShape& x, const tf::TensorShape& filter) {
  const auto side = [&](int i) {
    int64_t size = x.dim_size(i);
    const int64_t stride = call.stride;
    if (!call.paddings.empty()) size += call.paddings[2 * (i - 1)] + call.paddings[2 * (i - 1) + 1];
    return call.padding == "SAME" ? (size + stride - 1) / stride : (size - filter.dim_size(i - 1)) / stride + 1;
  };
  const tf::TensorShape y{x.dim_size(0), side(1), side(2), filter.dim_size(3)};
  Feeds feeds;
  if (call.kind == kForward) {
    feeds = {{"in0", random_tensor(x, 1)}, {"in1", random_tensor(filter, 2)}};
    if (call.num_bias) feeds.emplace_back("in2", random_tensor({filter.dim_size(3)}, 3));
  } else if (call.kind == kInputGradient) {
    feeds = {{"in0", sizes_of(x)}, {"in1", random_tensor(filter, 2)}, {"in2", random_tensor(y, 4)}};
  } else {
    feeds = {{"in0", random_tensor(x, 1)}, {"in1", sizes_of(filter)}, {"in2", random_tensor(y, 4)}};
  }
  return feeds;
}

std::vector<tf::Tensor> both(const Call& call, const Feeds& feeds) {
  tf::GraphDef graph = ours(call);
  add_theirs(call, &graph);
  std::vector<tf::Tensor> results;
  const absl::Status status = run(graph, feeds, {"ours", "theirs"}, &results);
  EXPECT_TRUE(status.ok()) << kOurs[call.kind] << ": " << status.message();
  return results;
}

// Of the largest number; of both: TensorFlow's sums err as well. What a ReLU6 cuts off had been larger.
double tolerance(tf::DataType type) { return type == tf::DT_FLOAT ? 1e-5 : 1 / 200.0; }

bool is_fast(const Call& call, const tf::TensorShape& filter) {
  constexpr convolutions::Direction kDirections[] = {convolutions::Direction::kForward,
                                                     convolutions::Direction::kInputGradient,
                                                     convolutions::Direction::kFilterGradient};
  return convolutions::is_fast(kDirections[call.kind],
                               {.channels = filter.dim_size(2),
                                .filters = filter.dim_size(3),
                                .filter_height = filter.dim_size(0),
                                .filter_width = filter.dim_size(1),
                                .stride = call.stride},
                               call.type == tf::DT_FLOAT);
}

TEST_F(ConvolutionOps, GiveTensorFlowsNumbers) {
  int calls[3] = {};
  for (const tf::DataType type : {tf::DT_FLOAT, tf::DT_BFLOAT16})
    for (const auto& [height, width] : std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {3, 3}, {5, 5}, {1, 7}, {7, 1}})
      for (const int64_t stride : {1, 2})
        for (const std::string padding : {"SAME", "VALID"})
          for (const tf::TensorShape& x :
               {tf::TensorShape{2, 9, 13, 48}, tf::TensorShape{3, 14, 14, 272}, tf::TensorShape{1, 7, 7, 19}})
            for (const Kind kind : kKinds) {
              const tf::TensorShape filter{height, width, x.dim_size(3), 32};
              const Call call{kind, type, stride, padding};
              if (!is_fast(call, filter)) continue;
              ++calls[kind];
              const auto results = both(call, feeds_of(call, x, filter));
              ASSERT_EQ(results.size(), 2);
              EXPECT_LE(relative_difference(results[0], results[1]), tolerance(type))
                  << fmt::format("{} {} {} stride {} {} {}", kOurs[kind], tf::DataTypeString(type),
                                 filter.DebugString(), stride, padding, x.DebugString());
            }
  // 3x3 and 5x5 of 48 and 272 channels; 1x1 of all, in bfloat16 y of an even number of channels.
  const bool pairs = convolutions::convolution_loops()->multiply_pairs;
  EXPECT_EQ(calls[kForward], 8 + 12 + pairs * 8);
  // And all with stride 2.
  EXPECT_EQ(calls[kInputGradient], 8 + 6 + 30 + pairs * (6 + 30));
  EXPECT_GE(calls[kFilterGradient], 60);
}

// Explicit paddings, also uneven ones: each of the algorithms.
TEST_F(ConvolutionOps, PadAsTheyAreTold) {
  int calls[3] = {};
  for (const tf::DataType type : {tf::DT_FLOAT, tf::DT_BFLOAT16})
    for (const auto& [filter, paddings] :
         std::vector<std::pair<tf::TensorShape, std::vector<int64_t>>>{{{3, 3, 48, 32}, {1, 1, 1, 1}},
                                                                       {{3, 3, 48, 32}, {0, 2, 1, 0}},
                                                                       {{5, 5, 19, 32}, {4, 0, 2, 3}},
                                                                       {{7, 7, 3, 64}, {3, 3, 3, 3}},
                                                                       {{1, 1, 48, 32}, {0, 0, 0, 0}},
                                                                       {{1, 7, 48, 32}, {0, 0, 5, 6}}})
      for (const int64_t stride : {1, 2, 3})
        for (const Kind kind : kKinds) {
          Call call{kind, type, stride, "EXPLICIT"};
          call.paddings = paddings;
          if (!is_fast(call, filter)) continue;
          ++calls[kind];
          const auto results = both(call, feeds_of(call, {2, 9, 14, filter.dim_size(2)}, filter));
          ASSERT_EQ(results.size(), 2);
          EXPECT_LE(relative_difference(results[0], results[1]), tolerance(type))
              << fmt::format("{} {} {} stride {} padded by {}", kOurs[kind], tf::DataTypeString(type),
                             filter.DebugString(), stride, fmt::join(paddings, ","));
        }
  EXPECT_GE(calls[kForward], 2 + 3);
  EXPECT_GE(calls[kInputGradient], 2 + 11);
  EXPECT_GE(calls[kFilterGradient], 18);
}

// The pixels that a stride reads, of TensorFlow's whole gradient, which is 0 elsewhere.
TEST_F(ConvolutionOps, GiveTheCompactGradientOfAStridedInput) {
  int calls = 0;
  for (const tf::DataType type : {tf::DT_FLOAT, tf::DT_BFLOAT16})
    for (const int64_t stride : {1, 2, 3})
      for (const std::string padding : {"SAME", "VALID"})
        for (const tf::TensorShape& x : {tf::TensorShape{2, 9, 13, 48}, tf::TensorShape{3, 14, 15, 272},
                                         tf::TensorShape{1, 1, 2, 17}, tf::TensorShape{0, 9, 13, 48}}) {
          const int64_t channels = x.dim_size(3);
          Call call{kInputGradient, type, stride, padding};
          if (!is_fast({kInputGradient, type}, {1, 1, channels, 32})) continue;
          call.compact = true;
          ++calls;
          const auto results = both(call, feeds_of(call, x, {1, 1, channels, 32}));
          ASSERT_EQ(results.size(), 2);
          const auto read = [&](int i) { return (x.dim_size(i) + stride - 1) / stride; };
          ASSERT_EQ(results[0].shape(), (tf::TensorShape{x.dim_size(0), read(1), read(2), channels}));
          tf::Tensor wanted(tf::DT_FLOAT, results[0].shape());
          auto to = wanted.tensor<float, 4>();
          const auto from = results[1].tensor<float, 4>();
          for (int64_t i = 0; i < to.size(); ++i) {
            const int64_t c = i % channels, column = i / channels % read(2), line = i / channels / read(2) % read(1),
                          image = i / channels / read(2) / read(1);
            to(image, line, column, c) = from(image, line * stride, column * stride, c);
          }
          if (wanted.NumElements() == 0) continue;
          EXPECT_LE(relative_difference(results[0], wanted), tolerance(type))
              << fmt::format("{} stride {} {} {}", tf::DataTypeString(type), stride, padding, x.DebugString());
        }
  EXPECT_EQ(calls, (convolutions::convolution_loops()->multiply_pairs ? 2 : 1) * 3 * 2 * 4);
}

// Of bfloat16 images: as the sums are, and the same rounded. 62,208 numbers are more than one thread rounds.
TEST_F(ConvolutionOps, GiveAFiltersGradientAsItsSums) {
  for (const tf::TensorShape& filter : {tf::TensorShape{3, 3, 48, 144}, tf::TensorShape{1, 1, 48, 32}}) {
    Call call{kFilterGradient, tf::DT_BFLOAT16};
    if (!is_fast(call, filter)) continue;
    const Feeds feeds = feeds_of(call, {2, 9, 13, 48}, filter);
    call.gradient = tf::DT_FLOAT;
    const auto sums = both(call, feeds);
    ASSERT_EQ(sums.size(), 2);
    EXPECT_LE(relative_difference(sums[0], sums[1]), 1e-5);
    call.gradient = tf::DT_BFLOAT16;
    for (const int threads : {1, 3}) {
      std::vector<tf::Tensor> rounded;
      TF_CHECK_OK(run(ours(call), feeds, {"ours"}, &rounded, threads));
      int64_t wrong = 0, changed = 0;
      for (int64_t i = 0; i < sums[0].NumElements(); ++i) {
        const float sum = sums[0].flat<float>()(i), got = rounded[0].flat<float>()(i);
        wrong += got != static_cast<float>(static_cast<Eigen::bfloat16>(sum));
        changed += got != sum;
      }
      EXPECT_EQ(wrong, 0) << filter.DebugString() << ", " << threads << " threads";
      EXPECT_GT(changed, sums[0].NumElements() / 2) << "the sums were rounded as well";
    }
  }
}

// Filters of both sizes, in the types that there are for them.
struct Typed {
  tf::TensorShape filter;
  tf::DataType type;
};
std::vector<Typed> typed_filters() {
  std::vector<Typed> all;
  for (const int64_t size : {1, 3})
    for (const tf::DataType type : {tf::DT_FLOAT, tf::DT_BFLOAT16})
      if (const Typed typed{{size, size, 48, 32}, type}; is_fast({kForward, type}, typed.filter)) all.push_back(typed);
  return all;
}

TEST_F(ConvolutionOps, AddABiasAndClamp) {
  for (const auto& [filter, type] : typed_filters())
    for (const int64_t batch : {1, 16})  // each by another algorithm
      for (const bool is_filter_const : {false, true})
        for (const std::string activation : {"", "Relu", "Relu6"}) {
          const Call call{kForward, type, 1, "SAME", 1, activation, is_filter_const};
          const auto results = both(call, feeds_of(call, {batch, 9, 13, 48}, filter));
          ASSERT_EQ(results.size(), 2);
          EXPECT_LE(relative_difference(results[0], results[1]), tolerance(type)) << batch << " " << activation;
        }
}

// The first filter is kept, for both algorithms: what is fed later shows that nothing is packed again.
void expect_kept(const tf::TensorShape& filter, tf::DataType type) {
  for (const bool is_filter_const : {true, false}) {
    const Call call{kForward, type, 1, "SAME", 0, "", is_filter_const};
    tf::GraphDef graph = ours(call);
    add_theirs(call, &graph);
    const std::unique_ptr<tf::Session> session(tf::NewSession({}));
    TF_CHECK_OK(session->Create(graph));
    std::vector<tf::Tensor> wanted[2];
    const int64_t batches[] = {1, 32};
    for (const int call_of : {0, 1, 0, 1, 0}) {
      const Feeds feeds = feeds_of(call, {batches[call_of], 9, 13, 48}, filter);
      std::vector<tf::Tensor> results;
      TF_CHECK_OK(session->Run(feeds, {"ours", "theirs"}, {}, &results));
      EXPECT_LE(relative_difference(results[0], results[1]), tolerance(type)) << batches[call_of];
      if (wanted[call_of].empty()) wanted[call_of] = results;
      EXPECT_EQ(results[0].tensor_data(), wanted[call_of][0].tensor_data());
    }
    for (const int call_of : {0, 1}) {
      Feeds feeds = feeds_of(call, {batches[call_of], 9, 13, 48}, filter);
      feeds[1].second = random_tensor(filter, 99);
      std::vector<tf::Tensor> results;
      TF_CHECK_OK(session->Run(feeds, {"ours", "theirs"}, {}, &results));
      EXPECT_EQ(results[0].tensor_data() == wanted[call_of][0].tensor_data(), is_filter_const) << batches[call_of];
      if (!is_filter_const) EXPECT_LE(relative_difference(results[0], results[1]), tolerance(type));
    }
  }
}

TEST_F(ConvolutionOps, KeepAConstantFilter) {
  for (const auto& [filter, type] : typed_filters()) expect_kept(filter, type);
  const auto of_batch = [](int64_t batch, int64_t size) {
    return convolutions::algorithm_of({.batch = batch,
                                       .height = 9,
                                       .width = 13,
                                       .channels = 48,
                                       .out_height = 9,
                                       .out_width = 13,
                                       .filters = 32,
                                       .filter_height = size,
                                       .filter_width = size},
                                      true);
  };
  for (const int64_t size : {1, 3})
    EXPECT_NE(of_batch(1, size), of_batch(32, size)) << "one algorithm for both: the test shows half";
}

// Steps of one session at the same time, the first of them too.
void expect_kept_for_several_threads(const tf::TensorShape& filter, tf::DataType type) {
  const Call call{kForward, type, 1, "SAME", 0, "", true};
  const std::unique_ptr<tf::Session> session(tf::NewSession({}));
  TF_CHECK_OK(session->Create(ours(call)));
  std::vector<tf::Tensor> wanted[2], results[8];
  const auto feeds = [&](int i) { return feeds_of(call, {i % 2 ? 32 : 1, 9, 13, 48}, filter); };
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&, i] {
      for (int step = 0; step < 5; ++step) TF_CHECK_OK(session->Run(feeds(i), {"ours"}, {}, &results[i]));
    });
  for (std::thread& thread : threads) thread.join();
  Call each_time = call;
  each_time.is_filter_const = false;
  for (const int i : {0, 1}) TF_CHECK_OK(run(ours(each_time), feeds(i), {"ours"}, &wanted[i]));
  for (int i = 0; i < 8; ++i) EXPECT_LE(relative_difference(results[i][0], wanted[i % 2][0]), 1e-5) << i;
}

TEST_F(ConvolutionOps, KeepAConstantFilterForSeveralThreads) {
  for (const auto& [filter, type] : typed_filters()) expect_kept_for_several_threads(filter, type);
}

// What sees a NaN in TensorFlow does here. Its optimizers are off: oneDNN's fusion of a convolution and a ReLU makes a
// zero of it.
TEST_F(ConvolutionOps, ShowNaNsAsTensorFlowDoes) {
  for (const int64_t batch : {2, 16})
    for (const std::string activation : {"", "Relu", "Relu6"}) {
      const Call call{kForward, tf::DT_FLOAT, 1, "SAME", 1, activation};
      Feeds feeds = feeds_of(call, {batch, 9, 13, 48}, {3, 3, 48, 32});
      feeds[0].second.tensor<float, 4>()(1, 4, 4, 7) = NAN;
      tf::GraphDef graph = ours(call);
      add_theirs(call, &graph);
      std::vector<tf::Tensor> results;
      TF_CHECK_OK(run(graph, feeds, {"ours", "theirs"}, &results, 0, false));
      int64_t nans = 0, hidden = 0;
      for (int64_t i = 0; i < results[1].NumElements(); ++i)
        if (std::isnan(results[1].flat<float>()(i))) ++nans, hidden += !std::isnan(results[0].flat<float>()(i));
      EXPECT_EQ(nans, 9 * 32) << activation;
      EXPECT_EQ(hidden, 0) << batch << " " << activation;
    }
}

TEST_F(ConvolutionOps, AreTheSameWhateverTheThreads) {
  for (const int64_t size : {1, 3, 5})
    for (const Kind kind : kKinds) {
      const Call call{kind};
      if (!is_fast(call, {size, size, 48, 80})) continue;
      const Feeds feeds = feeds_of(call, {4, 33, 31, 48}, {size, size, 48, 80});
      std::vector<tf::Tensor> one, more;
      TF_CHECK_OK(run(ours(call), feeds, {"ours"}, &one, 1));
      for (const int threads : {2, 3, 7}) {
        TF_CHECK_OK(run(ours(call), feeds, {"ours"}, &more, threads));
        EXPECT_EQ(one[0].tensor_data(), more[0].tensor_data())
            << kOurs[kind] << " " << size << ", " << threads << " threads";
      }
    }
}

// No outputs, and a gradient of zeros. (oneDNN's Conv2D gives its empty output as many channels as the input has.)
TEST_F(ConvolutionOps, TakeNoImages) {
  for (const int64_t size : {1, 3})
    for (const Kind kind : kKinds) {
      const Call call{kind};
      if (!is_fast(call, {size, size, 16, 32})) continue;
      const auto results = both(call, feeds_of(call, {0, 8, 9, 16}, {size, size, 16, 32}));
      ASSERT_EQ(results.size(), 2);
      if (kind != kForward)
        EXPECT_EQ(results[0].shape(), results[1].shape()) << kOurs[kind];
      else
        EXPECT_EQ(results[0].shape(), (tf::TensorShape{0, 8, 9, 32}));
      EXPECT_EQ(results[0].tensor_data(), results[1].tensor_data()) << kOurs[kind];
    }
}

}  // namespace
}  // namespace mox::kernels
