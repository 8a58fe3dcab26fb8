// What the operations of convolutions say before a step, and of what is wrong.
#include <gtest/gtest.h>

#include "kernels/convolution_graphs.h"

namespace mox::kernels {
namespace {

namespace tf = tensorflow;
using namespace testing;

Call compact_of(int64_t stride) {
  Call call{kInputGradient, tf::DT_FLOAT, stride};
  call.compact = true;
  return call;
}

struct Wrong {
  Call call;
  Feeds feeds;
  std::vector<std::string> words;  // of the message
};

TEST_F(ConvolutionOps, SayWhatIsWrong) {
  const auto images = [](std::initializer_list<int64_t> shape) { return random_tensor(tf::TensorShape(shape), 1); };
  const auto sizes = [](std::initializer_list<int64_t> shape) {
    tf::Tensor t(tf::DT_INT32, {static_cast<int64_t>(shape.size())});
    std::copy(shape.begin(), shape.end(), t.vec<int32_t>().data());
    return t;
  };
  const Call forward, biased{kForward, tf::DT_FLOAT, 1, "SAME", 1}, valid{kForward, tf::DT_FLOAT, 1, "VALID"},
      dx{kInputGradient}, compact = compact_of(2), dw{kFilterGradient}, strided{kForward, tf::DT_FLOAT, 2};
  const std::vector<Wrong> wrongs = {
      {forward,
       {{"in0", images({2, 8, 8, 32})}, {"in1", images({3, 3, 16, 16})}},
       {"expected [batch, height, width, channels]", "[2,8,8,32]", "[3,3,16,16]"}},
      {forward,
       {{"in0", images({2, 8, 8, 16})}, {"in1", images({3, 1, 16, 16})}},
       {"MoxConvolution: no kernel", "[2,8,8,16]", "[3,1,16,16]", "stride 1", "float"}},
      {forward, {{"in0", images({2, 8, 8, 16})}, {"in1", images({2, 2, 16, 16})}}, {"no kernel", "[2,2,16,16]"}},
      {forward, {{"in0", images({2, 8, 8, 24})}, {"in1", images({3, 3, 24, 16})}}, {"no kernel", "[3,3,24,16]"}},
      {forward, {{"in0", images({2, 8, 8, 0})}, {"in1", images({3, 3, 0, 16})}}, {"no kernel", "[3,3,0,16]"}},
      {forward, {{"in0", images({8, 8, 16})}, {"in1", images({3, 3, 16, 16})}}, {"[8,8,16]", "[3,3,16,16]"}},
      {forward, {{"in0", images({2, 8, 8, 16})}, {"in1", images({16, 16})}}, {"[2,8,8,16]", "[16,16]"}},
      {strided,
       {{"in0", images({2, 8, 8, 16})}, {"in1", images({3, 3, 16, 16})}},
       {"no kernel", "[2,8,8,16]", "[3,3,16,16]", "stride 2", "float"}},
      {valid, {{"in0", images({2, 1, 8, 16})}, {"in1", images({3, 3, 16, 16})}}, {"negative"}},
      {biased,
       {{"in0", images({2, 8, 8, 16})}, {"in1", images({3, 3, 16, 32})}, {"in2", images({16})}},
       {"expected a bias of 32 numbers", "[16]"}},
      {biased,
       {{"in0", images({2, 8, 8, 16})}, {"in1", images({3, 3, 16, 32})}, {"in2", images({1, 32})}},
       {"expected a bias of 32 numbers", "[1,32]"}},
      {dx,
       {{"in0", sizes({2, 8, 8, 16})}, {"in1", images({3, 3, 16, 32})}, {"in2", images({2, 7, 8, 32})}},
       {"expected [2,8,8,32]", "got [2,7,8,32]"}},
      {dx,
       {{"in0", sizes({2, 8, 8, 16})}, {"in1", images({3, 3, 16, 32})}, {"in2", images({2, 8, 8, 16})}},
       {"expected [2,8,8,32]", "got [2,8,8,16]"}},
      {dx,
       {{"in0", sizes({8, 8, 16})}, {"in1", images({3, 3, 16, 32})}, {"in2", images({2, 8, 8, 32})}},
       {"expected four sizes", "got [3]"}},
      {dx, {{"in0", sizes({2, -8, 8, 16})}, {"in1", images({3, 3, 16, 32})}, {"in2", images({2, 8, 8, 32})}}, {"-8"}},
      {dx,
       {{"in0", sizes({2, 8, 8, 32})}, {"in1", images({3, 3, 16, 32})}, {"in2", images({2, 8, 8, 32})}},
       {"[2,8,8,32]", "[3,3,16,32]"}},
      {compact,
       {{"in0", sizes({2, 8, 8, 16})}, {"in1", images({3, 3, 16, 32})}, {"in2", images({2, 4, 4, 32})}},
       {"MoxConvolutionInputGradient: no kernel", "[2,8,8,16]", "[3,3,16,32]", "stride 2"}},
      {compact,
       {{"in0", sizes({2, 8, 8, 8})}, {"in1", images({1, 1, 8, 32})}, {"in2", images({2, 4, 4, 32})}},
       {"no kernel", "[1,1,8,32]"}},
      {compact,
       {{"in0", sizes({2, 8, 7, 16})}, {"in1", images({1, 1, 16, 32})}, {"in2", images({2, 8, 7, 32})}},
       {"expected [2,4,4,32]", "got [2,8,7,32]"}},
      {dw,
       {{"in0", images({2, 8, 8, 16})}, {"in1", sizes({3, 3, 16, 32})}, {"in2", images({1, 8, 8, 32})}},
       {"expected [2,8,8,32]", "got [1,8,8,32]"}},
      {dw,
       {{"in0", images({2, 8, 8, 16})}, {"in1", sizes({3, 3, 16, 32, 1})}, {"in2", images({2, 8, 8, 32})}},
       {"expected four sizes", "got [5]"}},
      {dw,
       {{"in0", images({2, 8, 8, 16})}, {"in1", sizes({3, 3, 32, 32})}, {"in2", images({2, 8, 8, 32})}},
       {"[2,8,8,16]", "[3,3,32,32]"}},
      {{kFilterGradient, tf::DT_BFLOAT16},
       {{"in0", images({2, 8, 8, 15})}, {"in1", sizes({1, 1, 15, 32})}, {"in2", images({2, 8, 8, 32})}},
       {"MoxConvolutionFilterGradient: no kernel", "[2,8,8,15]", "[1,1,15,32]", "stride 1", "bfloat16"}},
      {dw,
       {{"in0", images({2, 8, 8, 16})}, {"in1", sizes({3, 3, 16, 32})}, {"in2", images({2, 8, 32})}},
       {"expected [2,8,8,32]", "got [2,8,32]"}},
      {{.kind = kFilterGradient, .padding = "EXPLICIT", .paddings = {1, 3, 0, 0}},
       {{"in0", images({2, 8, 8, 16})}, {"in1", sizes({3, 3, 16, 32})}, {"in2", images({2, 8, 8, 32})}},
       {"MoxConvolutionFilterGradient: no kernel", "[3,3,16,32]", "paddings of 1, 3, 0 and 0"}},
      {{.kind = kInputGradient, .padding = "EXPLICIT", .paddings = {1, 1, 1, 1}},
       {{"in0", sizes({2, 8, 8, 16})}, {"in1", images({3, 3, 16, 32})}, {"in2", images({2, 6, 6, 32})}},
       {"expected [2,8,8,32]", "got [2,6,6,32]"}},
      {{.padding = "EXPLICIT"},
       {{"in0", images({2, 8, 8, 16})}, {"in1", images({3, 3, 16, 32})}},
       {"explicit_paddings"}},
      {{.padding = "EXPLICIT", .paddings = {-1, 1, 1, 1}},
       {{"in0", images({2, 8, 8, 16})}, {"in1", images({3, 3, 16, 32})}},
       {"non"}},
      {{kForward, tf::DT_FLOAT, 1, "SAME", 2},
       {{"in0", images({2, 8, 8, 16})}, {"in1", images({3, 3, 16, 32})}, {"in2", images({32})}, {"in3", images({32})}},
       {"num_bias is 0 or 1, not 2"}},
      {{kForward, tf::DT_FLOAT, 1, "SAME", 0, "Relu"},
       {{"in0", images({2, 8, 8, 16})}, {"in1", images({3, 3, 16, 32})}},
       {"an activation needs a bias"}},
  };
  for (const Wrong& wrong : wrongs) {
    std::vector<tf::Tensor> results;
    const absl::Status status = run(ours(wrong.call), wrong.feeds, {"ours"}, &results);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    for (const std::string& word : wrong.words)
      EXPECT_NE(status.message().find(word), std::string::npos) << word << " is not in: " << status.message();
  }
}

TEST(ConvolutionShapes, AreKnownBeforeAStep) {
  using Shapes = std::vector<tf::PartialTensorShape>;
  const Call forward, valid{kForward, tf::DT_FLOAT, 1, "VALID"}, strided{kForward, tf::DT_FLOAT, 2, "VALID"};
  EXPECT_EQ(shape_of(ours(forward, Shapes{{2, 9, 13, 48}, {3, 3, 48, 32}})), "[2,9,13,32]");
  EXPECT_EQ(shape_of(ours(valid, Shapes{{-1, 9, -1, 48}, {3, 3, 48, 32}})), "[?,7,?,32]");
  EXPECT_EQ(shape_of(ours(strided, Shapes{{2, 9, 14, 48}, {1, 1, 48, 32}})), "[2,5,7,32]");
  const Call padded{.padding = "EXPLICIT", .paddings = {1, 0, 2, 2}};
  EXPECT_EQ(shape_of(ours(padded, Shapes{{2, 9, 14, 48}, {3, 3, 48, 32}})), "[2,8,16,32]");
  EXPECT_EQ(shape_of(ours(forward)), "[?,?,?,?]");
  EXPECT_NE(shape_of(ours(forward, Shapes{{2, 9, 48}, {3, 3, 48, 32}})).find("must be rank 4"), std::string::npos);
  EXPECT_NE(shape_of(ours(valid, Shapes{{2, 2, 9, 48}, {3, 3, 48, 32}})).find("Negative dimension"), std::string::npos);
  // The gradients': constants say all, others that there are four.
  for (const Kind kind : {kInputGradient, kFilterGradient}) {
    EXPECT_EQ(
        shape_of(ours({kind}, Shapes{tf::PartialTensorShape(), tf::PartialTensorShape(), tf::PartialTensorShape()})),
        "[?,?,?,?]");
    tf::GraphDef graph = ours({kind});
    tf::NodeDef* sizes = graph.mutable_node(kind == kInputGradient ? 0 : 2);
    ASSERT_EQ(sizes->attr().at("dtype").type(), tf::DT_INT32);
    sizes->set_op("Const");
    sizes->mutable_attr()->erase("shape");
    tf::SetAttrValue(sizes_of({3, 3, 16, 32}), &(*sizes->mutable_attr())["value"]);
    EXPECT_EQ(shape_of(graph), "[3,3,16,32]");
  }
  // Compact: the images of what arrives, the channels of the sizes.
  tf::GraphDef graph = ours(compact_of(2), Shapes{{4}, {1, 1, 16, 32}, {2, 4, -1, 32}});
  EXPECT_EQ(shape_of(graph), "[2,4,?,?]");
  tf::NodeDef* sizes = graph.mutable_node(0);
  sizes->set_op("Const");
  sizes->mutable_attr()->erase("shape");
  tf::SetAttrValue(sizes_of({2, 7, 8, 16}), &(*sizes->mutable_attr())["value"]);
  EXPECT_EQ(shape_of(graph), "[2,4,?,16]");
}

}  // namespace
}  // namespace mox::kernels
