#include "passes/fast_convolutions.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "passes/convolution_layers.h"

namespace mox {
namespace {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;
using tf::Output;

using testing::convolution;
using testing::count_of;
using testing::Environment;
using testing::FastConvolutions;
using testing::has_matrices;
using testing::has_pairs;
using testing::Layer;
using testing::node_of;

TEST_F(FastConvolutions, TakeTheirGradientsAlong) {
  for (const Layer& layer : std::vector<Layer>{{}, {{3, 3, 272, 48}, 1, "VALID"}}) {
    tf::GraphDef graph = convolution(layer);
    EXPECT_EQ(make_convolutions_fast(&graph), 3);
    EXPECT_EQ(count_of(graph, "Conv2D"), 0);
    EXPECT_EQ(count_of(graph, "MoxConvolution"), 3);
    const tf::NodeDef& node = node_of(graph, "conv");
    EXPECT_EQ(node.op(), "MoxConvolution");
    EXPECT_EQ(node.attr().at("stride").i(), layer.stride);
    EXPECT_EQ(node.attr().at("padding").s(), layer.padding);
    EXPECT_EQ(make_convolutions_fast(&graph), 0);
  }
}

TEST_F(FastConvolutions, AreOftenTheFiltersGradientAlone) {
  for (const Layer& layer :
       std::vector<Layer>{{{3, 3, 15, 32}, 2}, {{5, 5, 17, 16}}, {{3, 1, 16, 16}}, {{1, 7, 5, 64}}, {{7, 7, 5, 64}, 3}})
    for (const tf::DataType type : {tf::DT_FLOAT, tf::DT_BFLOAT16}) {
      Layer typed = layer;
      typed.type = type;
      tf::GraphDef graph = convolution(typed);
      const int wanted = type == tf::DT_FLOAT || (has_pairs() && !has_matrices());
      EXPECT_EQ(make_convolutions_fast(&graph), wanted);
      EXPECT_EQ(count_of(graph, "MoxConvolutionFilterGradient"), wanted);
      EXPECT_EQ(count_of(graph, "Conv2DBackpropFilter"), 1 - wanted);
      for (const tf::NodeDef& node : graph.node())
        if (node.op() == "MoxConvolutionFilterGradient") EXPECT_EQ(node.attr().at("stride").i(), layer.stride);
    }
  tf::GraphDef graph = convolution({.type = tf::DT_BFLOAT16});
  EXPECT_EQ(make_convolutions_fast(&graph), has_matrices() ? 0 : 1);
  EXPECT_EQ(count_of(graph, "MoxConvolutionFilterGradient"), has_matrices() ? 0 : 1);
}

// All but the gradient of the image, whatever the type.
TEST_F(FastConvolutions, TakeTheFirstOfANetwork) {
  for (const Layer& layer :
       std::vector<Layer>{{{3, 3, 3, 32}, 2}, {{5, 5, 1, 16}}, {{1, 7, 4, 64}}, {{7, 7, 3, 64}, 3}})
    for (const tf::DataType type : {tf::DT_FLOAT, tf::DT_BFLOAT16}) {
      Layer typed = layer;
      typed.type = type;
      tf::GraphDef graph = convolution(typed);
      const int wanted = type == tf::DT_FLOAT || !has_matrices();
      EXPECT_EQ(make_convolutions_fast(&graph), 2 * wanted);
      EXPECT_EQ(count_of(graph, "Conv2D"), 3 - 2 * wanted);
      EXPECT_EQ(count_of(graph, "Conv2DBackpropInput"), 1);
      EXPECT_EQ(node_of(graph, "conv").op(), wanted ? "MoxConvolution" : "Conv2D");
    }
}

// Of 16 channels and filters on; in bfloat16 an odd number of filters has no pairs.
TEST_F(FastConvolutions, AreBothGradientsWithAStride) {
  for (const auto& [layer, in_bfloat16] : std::vector<std::pair<Layer, int>>{
           {{{3, 3, 16, 16}, 2}, 2}, {{{5, 3, 17, 32}, 3, "VALID"}, 2}, {{{2, 2, 64, 21}, 2}, 1}})
    for (const tf::DataType type : {tf::DT_FLOAT, tf::DT_BFLOAT16}) {
      Layer typed = layer;
      typed.type = type;
      tf::GraphDef graph = convolution(typed);
      const int wanted = type == tf::DT_FLOAT ? 2 : has_pairs() && !has_matrices() ? in_bfloat16 : 0;
      EXPECT_EQ(make_convolutions_fast(&graph), wanted);
      EXPECT_EQ(count_of(graph, "MoxConvolutionFilterGradient"), wanted > 0);
      EXPECT_EQ(count_of(graph, "MoxConvolutionInputGradient"), wanted > 1);
      EXPECT_EQ(node_of(graph, "conv").op(), "Conv2D");
    }
}

TEST_F(FastConvolutions, PadAsTheyAreTold) {
  const Layer layer{.filter = {3, 3, 16, 32}, .padding = "EXPLICIT"};
  tf::GraphDef graph = convolution(layer);
  EXPECT_EQ(make_convolutions_fast(&graph), 3);
  for (const tf::NodeDef& node : graph.node())
    if (node.op().rfind("MoxConvolution", 0) == 0) {
      EXPECT_EQ(node.attr().at("padding").s(), "EXPLICIT");
      const auto& paddings = node.attr().at("explicit_paddings").list().i();
      EXPECT_EQ((std::vector<int64_t>(paddings.begin(), paddings.end())),
                (std::vector<int64_t>{0, 0, 1, 1, 1, 1, 0, 0}));
    }
}

// 1x1: the convolution from 16 channels and filters on, its input's gradient, the filter's as of other
// sizes. In bfloat16 with pairs, of channels or of filters: an odd number has none.
TEST_F(FastConvolutions, TakeThoseOfOnePixel) {
  struct Wanted {
    Layer layer;
    std::set<std::string> in_float32, in_bfloat16;
  };
  const std::string forward = "MoxConvolution", dx = "MoxConvolutionInputGradient", dw = "MoxConvolutionFilterGradient";
  for (const Wanted& wanted : std::vector<Wanted>{{{{1, 1, 16, 32}}, {forward, dx, dw}, {forward, dx, dw}},
                                                  {{{1, 1, 16, 32}, 2}, {forward, dx, dw}, {forward, dx, dw}},
                                                  {{{1, 1, 19, 16}, 2, "VALID"}, {forward, dx, dw}, {dx, dw}},
                                                  {{{1, 1, 19, 24}}, {forward, dx, dw}, {dx, dw}},
                                                  {{{1, 1, 16, 19}}, {forward, dx}, {forward}},
                                                  {{{1, 1, 17, 19}}, {forward, dx}, {}}})
    for (const tf::DataType type : {tf::DT_FLOAT, tf::DT_BFLOAT16}) {
      Layer layer = wanted.layer;
      layer.type = type;
      tf::GraphDef graph = convolution(layer);
      const int count = make_convolutions_fast(&graph);
      std::multiset<std::string> found;
      for (const tf::NodeDef& node : graph.node())
        if (node.op().rfind("MoxConvolution", 0) == 0) {
          found.insert(node.op());
          EXPECT_EQ(node.attr().at("stride").i(), layer.stride);
        }
      const auto& all = type == tf::DT_FLOAT             ? wanted.in_float32
                        : has_pairs() && !has_matrices() ? wanted.in_bfloat16
                                                         : std::set<std::string>{};
      EXPECT_EQ(found, (std::multiset<std::string>(all.begin(), all.end())))
          << layer.filter[2] << " to " << layer.filter[3] << ", stride " << layer.stride << " in "
          << tf::DataTypeString(type);
      EXPECT_EQ(count, static_cast<int>(all.size()));
    }
}

TEST_F(FastConvolutions, OthersStay) {
  const std::vector<std::pair<const char*, Layer>> others = {
      {"3 channels, 24 filters", {{3, 3, 3, 24}}},
      {"1x1, 3 channels", {{1, 1, 3, 32}}},
      {"5 channels", {{3, 3, 5, 32}}},
      {"15 channels", {{7, 1, 15, 32}}},
      {"19 filters", {{3, 3, 16, 19}}},
      {"1x1, 15 channels", {{1, 1, 15, 32}}},
      {"1x1, 15 filters", {{1, 1, 16, 15}}},
      {"3x3, two strides", {.width_stride = 2}},
      {"1x1, two strides", {.filter = {1, 1, 16, 16}, .width_stride = 2}},
      {"dilated", {.dilation = 2}},
      {"in groups", {.groups = 2}},
      {"1x1 in groups", {.filter = {1, 1, 16, 32}, .groups = 4}},
      {"NCHW", {.format = "NCHW"}},
      {"padded by more than the filter", {.filter = {1, 1, 16, 32}, .padding = "EXPLICIT"}},
      {"float16", {.type = tf::DT_HALF}},
      {"float64", {.type = tf::DT_DOUBLE}},
      {"1x1 in float16", {.filter = {1, 1, 16, 16}, .type = tf::DT_HALF}}};
  for (const auto& [name, layer] : others) {
    tf::GraphDef graph = convolution(layer);
    const std::string before = graph.SerializeAsString();
    EXPECT_EQ(make_convolutions_fast(&graph), 0) << name;
    EXPECT_EQ(graph.SerializeAsString(), before) << name;
  }
  // The filter's gradient says its sizes itself, by the placeholder's shape: not known either.
  tf::GraphDef unknown = convolution({.known_filter = false});
  EXPECT_EQ(make_convolutions_fast(&unknown), 0);
}

// An image of 32 channels behind each of these; the convolution's filter has as many, or half as many in two groups.
TEST_F(FastConvolutions, SeeTheChannelsOfAChangedImage) {
  using Change = std::function<Output(const Scope& s, const Output& x)>;  // of an image of 32 channels
  const auto numbers = [](const Scope& s, const std::vector<int>& values) {
    tf::Tensor tensor(tf::DT_INT32, {static_cast<int64_t>(values.size())});
    std::copy(values.begin(), values.end(), tensor.flat<int>().data());
    return Output(ops::Const(s, tf::Input::Initializer(tensor)));
  };
  const std::vector<std::pair<const char*, Change>> changes = {
      {"Pad",
       [](const Scope& s, const Output& x) -> Output {
         return ops::Pad(s, x, {{0, 0}, {1, 1}, {1, 1}, {0, 0}});
       }},
      {"Pad of channels",
       [&](const Scope& s, const Output& x) -> Output {
         const Output half = ops::Slice(s, x, {0, 0, 0, 0}, {-1, -1, -1, 16});
         return ops::Pad(s, half, {{0, 0}, {0, 0}, {0, 0}, {8, 8}});
       }},
      {"MirrorPad",
       [](const Scope& s, const Output& x) -> Output {
         return ops::MirrorPad(s, x, {{0, 0}, {1, 1}, {1, 1}, {0, 0}}, "REFLECT");
       }},
      {"ConcatV2 of channels",
       [](const Scope& s, const Output& x) -> Output {
         const Output half = ops::Slice(s, x, {0, 0, 0, 16}, {-1, -1, -1, -1});
         return ops::Concat(s, {half, half}, 3);
       }},
      {"ConcatV2 of images",
       [](const Scope& s, const Output& x) -> Output {
         return ops::Concat(s, {x, x}, 0);
       }},
      {"a shuffle",
       [&](const Scope& s, const Output& x) -> Output {
         const Output apart = ops::Reshape(s, x, numbers(s, {2, 9, 12, 2, 16}));
         return ops::Reshape(s, ops::Transpose(s, apart, {0, 1, 2, 4, 3}), numbers(s, {2, 9, 12, 32}));
       }},
      {"Transpose",
       [](const Scope& s, const Output& x) -> Output {
         return ops::Transpose(s, ops::Transpose(s, x, {0, 3, 1, 2}), {0, 2, 3, 1});
       }},
      {"StridedSlice", [&](const Scope& s, const Output& x) -> Output {
         const Output twice = ops::Concat(s, {x, x}, 3);
         return ops::StridedSlice(s, twice, numbers(s, {0, 0, 0, 32}), numbers(s, {2, 9, 12, 64}),
                                  numbers(s, {1, 1, 1, 1}));
       }}};
  for (const auto& [name, change] : changes)
    for (const int64_t groups : {1, 2}) {
      const Scope s = Scope::new_root();
      const Output x = change(s, ops::Const(s, tf::Input::Initializer(random_tensor({2, 9, 12, 32}, 1)))),
                   w = s.get_variable("w", {3, 3, 32 / groups, 64});
      ops::Conv2D(s.WithOpName("conv"), x, w, {1, 1, 1, 1}, "SAME");
      check(s, name);
      tf::GraphDef graph;
      s.graph()->ToGraphDef(&graph);
      EXPECT_EQ(make_convolutions_fast(&graph), groups == 1) << name << " in " << groups;
    }
}

TEST_F(FastConvolutions, StayWhereTheEnvironmentSaysSo) {
  const Environment off("MOX_FAST_CONVOLUTIONS", "0");
  tf::GraphDef graph = convolution({});
  EXPECT_EQ(make_convolutions_fast(&graph), 0);
  EXPECT_EQ(count_of(graph, "Mox"), 0);
}

}  // namespace
}  // namespace mox
