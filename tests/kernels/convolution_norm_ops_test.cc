// MoxConvolutionNormalizeGrad against MoxConvolutionInputGradient and MoxNormalizeGrad.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/norm_graphs.h"

namespace mox::kernels {
namespace {

namespace tf = tensorflow;
using namespace testing;

using ConvolutionNormalizeGrad = ConvolutionOps;

struct Case {
  tf::TensorShape x{2, 14, 13, 48};
  int64_t filters = 32;
  tf::DataType type = tf::DT_FLOAT;
  std::string activation = "Relu";
  int num_more = 0, num_side = 0;
  int64_t more_stride = 1;
  int64_t size = 1, stride = 1;  // of the filter

  // SAME, or with a larger filter EXPLICIT ones.
  std::string padding() const { return size == 1 ? "SAME" : "EXPLICIT"; }
  std::vector<int64_t> paddings() const {
    return size == 1 ? std::vector<int64_t>{} : std::vector<int64_t>{0, 0, 1, size - 2, size - 1, 0, 0, 0};
  }
};

tf::TensorShape shape_of_more(const Case& c) {
  tf::TensorShape shape = c.x;
  for (const int size : {1, 2}) shape.set_dim(size, (c.x.dim_size(size) + c.more_stride - 1) / c.more_stride);
  return shape;
}

std::string text(const Case& c) {
  return fmt::format("{} of {} filters of {}x{}, stride {}, '{}'{}{} in {}", c.x.DebugString(), c.filters, c.size,
                     c.size, c.stride, c.activation,
                     c.num_more ? fmt::format(", with more of stride {}", c.more_stride) : "",
                     c.num_side ? ", with a side" : "", tf::DataTypeString(c.type));
}

bool is_fast(const Case& c) {
  return convolutions::is_fast(convolutions::Direction::kInputGradient,
                               {.channels = c.x.dim_size(3),
                                .filters = c.filters,
                                .filter_height = c.size,
                                .filter_width = c.size,
                                .stride = c.stride},
                               c.type == tf::DT_FLOAT);
}

const std::vector<std::string> kParameters = {"mean", "variance", "scale", "offset"};

std::vector<std::string> images_of(const Case& c) {
  std::vector<std::string> names = {"filter", "dz"};
  for (int i = 0; i < c.num_more; ++i) names.push_back("more" + std::to_string(i));
  names.push_back("x");
  for (int i = 0; i < c.num_side; ++i) names.push_back("y" + std::to_string(i));
  return names;
}

void add_parameters(tf::GraphDef* graph) {
  for (const std::string& name : kParameters)
    NodeMaker(graph, name, "Placeholder").attr("dtype", tf::DT_FLOAT).attr("shape", tf::PartialTensorShape());
}

void add_attributes(const Case& c, NodeMaker* node) {
  node->attr("T", c.type).attr("num_side", c.num_side).attr("epsilon", 1e-3f).attr("activation", c.activation);
}

// Outputs of "node", in float32: "dx", and "dside" where something was added.
std::vector<std::string> add_outputs(const Case& c, tf::GraphDef* graph) {
  std::vector<std::string> fetches = {add_float(graph, "dx", "node:0", c.type), "node:1", "node:2"};
  if (c.num_side == 1) fetches.push_back(add_float(graph, "dside", "node:3", c.type));
  return fetches;
}

struct Graph {
  tf::GraphDef graph;
  std::vector<std::string> fetches;
};

Graph ours(const Case& c) {
  Graph to;
  std::vector<std::string> inputs;
  for (const std::string& name : images_of(c)) inputs.push_back(add_input(&to.graph, name, c.type));
  add_parameters(&to.graph);
  NodeMaker node(&to.graph, "node", "MoxConvolutionNormalizeGrad");
  for (const std::string& input : inputs) node.input(input);
  for (const std::string& name : kParameters) node.input(name);
  node.attr("num_more", c.num_more).attr("more_stride", c.more_stride);
  node.attr("stride", c.stride).attr("padding", c.padding()).attr("explicit_paddings", c.paddings());
  add_attributes(c, &node);
  to.fetches = add_outputs(c, &to.graph);
  return to;
}

// "more0", which has the pixels that a stride reads, with zeros between them: "more0/whole". TensorFlow's gradient of a
// strided convolution that leaves channels as they are, exact in float32.
std::string add_whole(const Case& c, tf::GraphDef* graph) {
  const int64_t channels = c.x.dim_size(3);
  tf::Tensor same(tf::DT_FLOAT, {1, 1, channels, channels});
  same.flat<float>().setZero();
  for (int64_t i = 0; i < channels; ++i) same.flat<float>()(i * channels + i) = 1;
  NodeMaker(graph, "same", "Const").attr("dtype", tf::DT_FLOAT).attr("value", same);
  add_float(graph, "more0/float", "more0/T", c.type);
  NodeMaker(graph, "more0/spread", "Conv2DBackpropInput")
      .input("sizes")
      .input("same")
      .input("more0/float")
      .attr("T", tf::DT_FLOAT)
      .attr("padding", "SAME")
      .attr("strides", std::vector<int64_t>{1, c.more_stride, c.more_stride, 1});
  NodeMaker(graph, "more0/whole", "Cast").input("more0/spread").attr("SrcT", tf::DT_FLOAT).attr("DstT", c.type);
  return "more0/whole";
}

Graph theirs(const Case& c) {
  Graph to;
  for (const std::string& name : images_of(c)) add_input(&to.graph, name, c.type);
  add_parameters(&to.graph);
  NodeMaker(&to.graph, "sizes", "Shape").input("x/T").attr("T", c.type);
  NodeMaker(&to.graph, "arrived", "MoxConvolutionInputGradient")
      .input("sizes")
      .input("filter/T")
      .input("dz/T")
      .attr("T", c.type)
      .attr("stride", c.stride)
      .attr("padding", c.padding())
      .attr("explicit_paddings", c.paddings());
  const std::string more = c.more_stride > 1 ? add_whole(c, &to.graph) : "more0/T";
  NodeMaker node(&to.graph, "node", "MoxNormalizeGrad");
  node.input("arrived");
  for (const std::string& name : images_of(c))
    if (name != "filter" && name != "dz") node.input(name == "more0" ? more : name + "/T");
  for (const std::string& name : kParameters) node.input(name);
  node.attr("num_dy", 1 + c.num_more);
  add_attributes(c, &node);
  to.fetches = add_outputs(c, &to.graph);
  return to;
}

// What add_input negates is negated here. y has what a ReLU6 clamps, and is a number of bfloat16.
Feeds feeds_of(const Case& c) {
  const int64_t channels = c.x.dim_size(3);
  tf::TensorShape dz = c.x;
  dz.set_dim(3, c.filters);
  for (const int i : {1, 2}) dz.set_dim(i, (c.x.dim_size(i) + c.stride - 1) / c.stride);
  Feeds feeds;
  for (const std::string& name : images_of(c)) {
    const int seed = static_cast<int>(feeds.size()) + 1;
    if (name == "filter")
      feeds.emplace_back(name, random_tensor({c.size, c.size, channels, c.filters}, seed, -0.3f, 0.3f));
    else if (name == "y0")
      feeds.emplace_back(name, negated(random_tensor(c.x, seed, -3, 9)));
    else
      feeds.emplace_back(name, random_tensor(name == "dz"      ? dz
                                             : name == "more0" ? shape_of_more(c)
                                                               : c.x,
                                             seed, -2, 2));
    if (name == "y0" && !c.activation.empty()) {
      auto y = feeds.back().second.flat<float>();
      for (int64_t i = 0; i < y.size(); ++i) y(i) = -std::clamp(-y(i), 0.f, c.activation == "Relu6" ? 6.f : 1e9f);
    }
  }
  feeds.emplace_back("mean", random_tensor({channels}, 11, -0.5f, 0.5f));
  feeds.emplace_back("variance", random_tensor({channels}, 12, 0.2f, 2));
  feeds.emplace_back("scale", random_tensor({channels}, 13, -1.5f, 3));
  feeds.emplace_back("offset", random_tensor({channels}, 14, -1, 4));
  return feeds;
}

std::vector<tf::Tensor> results_of(const Graph& graph, const Feeds& feeds, const std::string& name, int threads = 2) {
  std::vector<tf::Tensor> results;
  const absl::Status status = run_plainly(graph.graph, feeds, graph.fetches, &results, threads);
  EXPECT_TRUE(status.ok()) << name << ": " << status.message();
  return results;
}

// Sums are over other parts of the rows. What rounds to the neighbour of bfloat16 is rare, and near. What a stride
// reads is added before the product is rounded: RoundsWhatAStrideReadsOnce.
void expect_close(const std::vector<tf::Tensor>& got, const std::vector<tf::Tensor>& wanted, const Case& c,
                  const std::string& name) {
  ASSERT_EQ(got.size(), wanted.size()) << name;
  ASSERT_EQ(got.size(), 3 + c.num_side) << name;
  const bool float32 = c.type == tf::DT_FLOAT, rounds_less = !float32 && c.more_stride > 1;
  const double tolerance = float32 ? 1e-5 : rounds_less ? 1 / 100.0 : 1 / 200.0;
  EXPECT_LE(relative_difference(got[0], wanted[0]), tolerance) << name << ": dx";
  int64_t others = 0;
  for (int64_t i = 0; i < got[0].NumElements(); ++i) others += got[0].flat<float>()(i) != wanted[0].flat<float>()(i);
  if (!float32 && !rounds_less) EXPECT_LE(others, 1 + got[0].NumElements() / 200) << name << ": dx";
  for (const int i : {1, 2})
    EXPECT_LE(relative_difference(got[i], wanted[i]), rounds_less ? 1 / 200.0 : 1e-5) << name << ": output " << i;
  if (!c.num_side) return;
  if (rounds_less)
    EXPECT_LE(relative_difference(got[3], wanted[3]), tolerance) << name << ": dside";
  else
    EXPECT_TRUE(same_bits(got[3], wanted[3])) << name << ": dside";
}

// Of each kind: all activations, types, with and without more and a side.
std::vector<Case> cases_of(const tf::TensorShape& x, int64_t filters, int64_t size = 1, int64_t stride = 1) {
  std::vector<Case> all;
  for (const tf::DataType type : {tf::DT_FLOAT, tf::DT_BFLOAT16})
    for (const std::string activation : {"", "Relu", "Relu6"})
      for (const int64_t more_stride : {0, 1, 2, 3})  // 0: without more
        for (const int num_side : {0, 1})
          if (const Case c{x, filters, type, activation, more_stride > 0, num_side, std::max<int64_t>(more_stride, 1),
                           size, stride};
              is_fast(c) && (c.more_stride == 1 || (size == 1 && stride == 1)))
            all.push_back(c);
  return all;
}

void expect_what_the_two_give(const Case& c) {
  const Feeds feeds = feeds_of(c);
  const auto got = results_of(ours(c), feeds, text(c)), wanted = results_of(theirs(c), feeds, text(c));
  expect_close(got, wanted, c, text(c));
  for (const tf::Tensor& tensor : wanted) EXPECT_GT(max_abs(tensor), 0) << text(c) << " shows nothing";
}

TEST_F(ConvolutionNormalizeGrad, GivesWhatTheTwoGive) {
  for (const auto& [x, filters] : std::vector<std::pair<tf::TensorShape, int64_t>>{{{2, 14, 13, 48}, 32},
                                                                                   {{3, 31, 29, 17}, 24},
                                                                                   {{1, 7, 7, 100}, 34},
                                                                                   {{1, 1, 3, 304}, 33},
                                                                                   {{1, 83, 79, 16}, 16}})
    for (const Case& c : cases_of(x, filters)) expect_what_the_two_give(c);
}

TEST_F(ConvolutionNormalizeGrad, GivesWhatTheTwoGiveWithAStride) {
  for (const auto& [x, filters] : std::vector<std::pair<tf::TensorShape, int64_t>>{
           {{2, 14, 12, 48}, 32}, {{3, 31, 29, 17}, 24}, {{1, 8, 8, 100}, 34}, {{1, 83, 79, 16}, 16}})
    for (const int64_t size : {1, 3, 5})
      for (const int64_t stride : {2, 3})
        for (const Case& c : cases_of(x, filters, size, stride)) expect_what_the_two_give(c);
}

// Of 16 bits, how far from what float32 gives of the same numbers. What is kept at the side is nearer than the two,
// which round the product, then the sum; where nothing is kept they round only the product, and the sum may be larger.
TEST_F(ConvolutionNormalizeGrad, RoundsWhatAStrideReadsOnce) {
  for (const Case& c : cases_of({3, 31, 29, 40}, 48)) {
    if (c.type == tf::DT_FLOAT || c.more_stride == 1) continue;
    Feeds feeds = feeds_of(c);
    for (auto& [name, tensor] : feeds)
      tensor.flat<float>() = tensor.flat<float>().cast<Eigen::bfloat16>().cast<float>().eval();
    Case exact = c;
    exact.type = tf::DT_FLOAT;
    const auto truth = results_of(theirs(exact), feeds, text(c)), got = results_of(ours(c), feeds, text(c)),
               separate = results_of(theirs(c), feeds, text(c));
    const auto error = [](const tf::Tensor& from, const tf::Tensor& to) {
      double sum = 0;
      for (int64_t i = 0; i < to.NumElements(); ++i) sum += std::pow(from.flat<float>()(i) - to.flat<float>()(i), 2);
      return std::sqrt(sum);
    };
    ASSERT_EQ(got.size(), truth.size());
    EXPECT_LE(error(got[0], truth[0]), (c.num_side ? 1.01 : 1.08) * error(separate[0], truth[0])) << text(c) << ": dx";
    if (c.num_side) EXPECT_LE(error(got[3], truth[3]), 0.97 * error(separate[3], truth[3])) << text(c) << ": dside";
  }
}

TEST_F(ConvolutionNormalizeGrad, IsTheSameWhateverTheThreads) {
  for (const auto& [x, size, stride] : std::vector<std::tuple<tf::TensorShape, int64_t, int64_t>>{
           {{3, 31, 29, 40}, 1, 1}, {{1, 7, 7, 304}, 1, 1}, {{3, 30, 28, 40}, 3, 2}, {{1, 7, 7, 304}, 3, 2}})
    for (const Case& c : cases_of(x, 48, size, stride)) {
      const Feeds feeds = feeds_of(c);
      const auto one = results_of(ours(c), feeds, text(c), 1);
      for (const int threads : {2, 3, 7}) {
        const auto more = results_of(ours(c), feeds, text(c), threads);
        ASSERT_EQ(one.size(), more.size());
        for (size_t i = 0; i < one.size(); ++i)
          EXPECT_TRUE(same_bits(one[i], more[i])) << text(c) << ", output " << i << ", " << threads << " threads";
      }
    }
}

// Where nobody else reads what arrives from elsewhere, its gradient of the side is written there; where somebody does,
// his numbers stay, and so do all other inputs.
TEST_F(ConvolutionNormalizeGrad, WritesOnlyWhereNobodyReads) {
  for (const Case& c : cases_of({2, 14, 13, 48}, 32)) {
    const Feeds feeds = feeds_of(c);
    const auto wanted = results_of(theirs(c), feeds, text(c));
    for (const bool is_read : {false, true}) {
      Graph graph = ours(c);
      std::vector<std::string> fetches = graph.fetches;
      for (const std::string& name : images_of(c))
        if (is_read || name.rfind("more", 0) != 0)  // after all is done
          fetches.push_back(add_float(&graph.graph, name + "/after", name + "/T", c.type));
      for (tf::NodeDef& node : *graph.graph.mutable_node())
        if (node.name().find("/after") != std::string::npos) node.add_input("^node");
      std::vector<tf::Tensor> results;
      tf::RunMetadata metadata;
      TF_CHECK_OK(run_plainly(graph.graph, feeds, fetches, &results, 2, &metadata));
      const auto end = results.begin() + static_cast<int64_t>(graph.fetches.size());
      expect_close({results.begin(), end}, wanted, c, text(c) + (is_read ? ", read by others" : ""));
      for (size_t i = graph.fetches.size(); i < fetches.size(); ++i) {
        const std::string name = fetches[i].substr(0, fetches[i].find('/'));
        for (const auto& [fed, tensor] : feeds) {
          if (fed != name) continue;
          const auto rounded = [&](float v) {
            return c.type == tf::DT_FLOAT ? v : static_cast<float>(static_cast<Eigen::bfloat16>(v));
          };
          int64_t changed = 0;
          for (int64_t k = 0; k < tensor.NumElements(); ++k)
            changed += results[i].flat<float>()(k) != rounded(-tensor.flat<float>()(k));
          EXPECT_EQ(changed, 0) << text(c) << ": " << name << " was written over";
        }
      }
      if (!c.num_side || !c.num_more) continue;
      auto places = places_of(metadata);
      ASSERT_NE(places["node:3"], 0u) << text(c);
      EXPECT_EQ(places["node:3"] == places["more0/T:0"], !is_read && c.more_stride == 1) << text(c);
    }
  }
}

TEST_F(ConvolutionNormalizeGrad, TakesNoImages) {
  for (const Case& c : cases_of({0, 14, 13, 48}, 32)) {
    const Feeds feeds = feeds_of(c);
    const auto got = results_of(ours(c), feeds, text(c)), wanted = results_of(theirs(c), feeds, text(c));
    ASSERT_EQ(got.size(), wanted.size());
    for (size_t i = 0; i < got.size(); ++i) EXPECT_TRUE(same_bits(got[i], wanted[i])) << text(c) << ", output " << i;
    EXPECT_EQ(got[0].shape(), c.x);
  }
}

// A NaN of one row of dz is in the sums of all channels that are not clamped there.
TEST_F(ConvolutionNormalizeGrad, ShowsNaNsAsTheTwoDo) {
  for (const Case& c : cases_of({2, 14, 13, 48}, 32)) {
    Feeds feeds = feeds_of(c);
    feeds[1].second.tensor<float, 4>()(1, 3, 4, 5) = NAN;
    const auto got = results_of(ours(c), feeds, text(c)), wanted = results_of(theirs(c), feeds, text(c));
    ASSERT_EQ(got.size(), wanted.size());
    for (size_t i = 0; i < got.size(); ++i) {
      int64_t others = 0;
      for (int64_t k = 0; k < got[i].NumElements(); ++k)
        others += std::isnan(got[i].flat<float>()(k)) != std::isnan(wanted[i].flat<float>()(k));
      EXPECT_EQ(others, 0) << text(c) << ", output " << i;
    }
    EXPECT_TRUE(std::isnan(got[2].flat<float>()(0)) || !c.activation.empty()) << text(c);  // or clamped there
  }
}

struct Wrong {
  Case c;
  std::string input;  // that has another shape, "" for none
  tf::TensorShape shape;
  std::vector<std::string> words;  // of the message
};

TEST_F(ConvolutionNormalizeGrad, SaysWhatIsWrong) {
  const Case plain, all{{2, 14, 13, 48}, 32, tf::DT_FLOAT, "Relu", 1, 1},
      strided{{2, 14, 13, 48}, 32, tf::DT_FLOAT, "Relu", 1, 1, 2};
  std::vector<Wrong> wrongs = {
      {{{2, 14, 13, 48}, 32, tf::DT_FLOAT, "Relu", 2}, "", {}, {"num_more is 0 or 1, not 2"}},
      {{{2, 14, 13, 48}, 32, tf::DT_FLOAT, "Relu", 0, 2}, "", {}, {"num_side is 0 or 1, not 2"}},
      {plain, "filter", {3, 3, 48, 32}, {"MoxConvolutionNormalizeGrad: no kernel", "[2,14,13,48]", "[3,3,48,32]"}},
      {plain, "filter", {1, 3, 48, 32}, {"MoxConvolutionNormalizeGrad: no kernel", "[1,3,48,32]"}},
      {plain,
       "filter",
       {1, 1, 40, 32},
       {"convolution: expected [batch, height, width, channels]", "[2,14,13,48]", "[1,1,40,32]"}},
      {plain,
       "filter",
       {48, 32},
       {"convolution: expected [batch, height, width, channels]", "[2,14,13,48]", "[48,32]"}},
      {plain, "dz", {2, 14, 12, 32}, {"gradient of a convolution: expected [2,14,13,32]", "got [2,14,12,32]"}},
      {plain, "dz", {2, 14, 13, 31}, {"gradient of a convolution: expected [2,14,13,32]", "got [2,14,13,31]"}},
      {plain, "dz", {364, 32}, {"gradient of a convolution: expected [2,14,13,32]", "got [364,32]"}},
      {plain, "x", {364, 48}, {"batch norm: expected [batch, height, width, channels]", "[364,48]"}},
      {{{2, 14, 13, 8}}, "", {}, {"MoxConvolutionNormalizeGrad: no kernel", "[2,14,13,8]", "float"}},
      {{{2, 14, 13, 48}, 33, tf::DT_BFLOAT16}, "", {}, {"no kernel", "[1,1,48,33]", "bfloat16"}},
      {all, "more0", {2, 13, 14, 48}, {"gradient of batch norm: input 2", "[2,13,14,48]", "[2,14,13,48]"}},
      {strided, "more0", {2, 14, 13, 48}, {"gradient of batch norm: input 2", "[2,14,13,48]", "expected [2,7,7,48]"}},
      {strided, "more0", {2, 7, 6, 48}, {"gradient of batch norm: input 2", "[2,7,6,48]", "expected [2,7,7,48]"}},
      {strided, "y0", {2, 7, 7, 48}, {"gradient of batch norm: input 4", "[2,7,7,48]", "[2,14,13,48]"}},
      {all, "y0", {2, 14, 13, 47}, {"gradient of batch norm: input 4", "[2,14,13,47]", "[2,14,13,48]"}}};
  for (const std::string& name : kParameters)
    wrongs.push_back({all, name, {47}, {"batch norm: expected " + name + " of 48 channels", "[47]"}});
  for (const Wrong& wrong : wrongs) {
    Feeds feeds = feeds_of(wrong.c);
    for (auto& [name, tensor] : feeds)
      if (name == wrong.input) tensor = random_tensor(wrong.shape, 1);
    std::vector<tf::Tensor> results;
    const absl::Status status = run_plainly(ours(wrong.c).graph, feeds, {"dx"}, &results);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << text(wrong.c) << ": " << status;
    for (const std::string& word : wrong.words)
      EXPECT_NE(status.message().find(word), std::string::npos) << word << " is not in: " << status.message();
  }
}

// dx and the side's are as x, the others as the scale.
TEST_F(ConvolutionNormalizeGrad, ShapesAreKnownBeforeAStep) {
  const Case c{{2, 14, 13, 48}, 32, tf::DT_FLOAT, "Relu", 1, 1};
  tf::GraphDef graph = ours(c).graph;
  for (int output = 0; output < 4; ++output) EXPECT_EQ(shape_of(graph, output), "?");
  for (tf::NodeDef& node : *graph.mutable_node())
    for (const auto& [name, tensor] : feeds_of(c))
      if (node.name() == name && (name == "x" || name == "scale"))
        tf::SetAttrValue(tf::PartialTensorShape(tensor.shape().dim_sizes()), &(*node.mutable_attr())["shape"]);
  for (const int output : {0, 3}) EXPECT_EQ(shape_of(graph, output), "[2,14,13,48]");
  for (const int output : {1, 2}) EXPECT_EQ(shape_of(graph, output), "[48]");
}

}  // namespace
}  // namespace mox::kernels
