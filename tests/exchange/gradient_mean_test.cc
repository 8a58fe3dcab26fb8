// The kernels that join gradients on a parameter server.
#include <gtest/gtest.h>

#include <thread>

#include "graph/node_defs.h"
#include "moxing/moxing.h"
#include "tensorflow/core/protobuf/config.pb.h"
#include "tensorflow/core/public/session.h"

namespace mox {
namespace {

namespace tf = tensorflow;

class Accumulator {
 public:
  Accumulator() {
    tf::GraphDef graph;
    NodeMaker(&graph, "mean", "MoxGradientMean").attr("shared_name", std::string("the_tests"));
    NodeMaker(&graph, "step", "Placeholder").attr("dtype", tf::DT_INT64);
    NodeMaker(&graph, "gradient", "Placeholder").attr("dtype", tf::DT_FLOAT);
    NodeMaker(&graph, "needed", "Placeholder").attr("dtype", tf::DT_INT32);
    NodeMaker(&graph, "begin", "MoxSetGradientStep").input("mean").input("step");
    NodeMaker(&graph, "push", "MoxPushGradient")
        .input("mean")
        .input("step")
        .input("gradient")
        .attr("dtype", tf::DT_FLOAT);
    NodeMaker(&graph, "take", "MoxTakeGradient").input("mean").input("needed").attr("dtype", tf::DT_FLOAT);
    TF_CHECK_OK(session_->Create(graph));
  }

  absl::Status begin(int64_t step) { return session_->Run({{"step", tf::Tensor(step)}}, {}, {"begin"}, nullptr); }
  absl::Status push(int64_t step, std::vector<float> values) {
    tf::Tensor gradient(tf::DT_FLOAT, {static_cast<int64_t>(values.size())});
    std::copy(values.begin(), values.end(), gradient.flat<float>().data());
    return session_->Run({{"step", tf::Tensor(step)}, {"gradient", gradient}}, {}, {"push"}, nullptr);
  }
  // Empty after an error.
  std::vector<float> take(int needed, int milliseconds = 20000) {
    tf::RunOptions options;
    options.set_timeout_in_ms(milliseconds);
    std::vector<tf::Tensor> out;
    if (!session_->Run(options, {{"needed", tf::Tensor(needed)}}, {"take"}, {}, &out, nullptr).ok()) return {};
    const auto flat = out[0].flat<float>();
    return {flat.data(), flat.data() + flat.size()};
  }

 private:
  std::unique_ptr<tf::Session> session_{tf::NewSession({})};
};

TEST(GradientMean, OfAllThatCameForTheStep) {
  Accumulator accumulator;
  TF_CHECK_OK(accumulator.begin(7));
  TF_CHECK_OK(accumulator.push(6, {100, 100}));  // too late
  for (const float value : {1.f, 2.f, 6.f}) TF_CHECK_OK(accumulator.push(7, {value, -value}));
  EXPECT_EQ(accumulator.take(2), (std::vector<float>{3, -3}));
  TF_CHECK_OK(accumulator.push(7, {100, 100}));
  TF_CHECK_OK(accumulator.push(8, {5, 4}));
  EXPECT_EQ(accumulator.take(1), (std::vector<float>{5, 4}));
}

TEST(GradientMean, WhoTakesWaitsForThoseThatPush) {
  Accumulator accumulator;
  std::vector<float> large(100'000, 1);
  std::vector<float> mean;
  std::thread taker([&] { mean = accumulator.take(2); });
  TF_CHECK_OK(accumulator.push(0, large));
  large.assign(large.size(), 4);
  TF_CHECK_OK(accumulator.push(0, large));
  taker.join();
  EXPECT_EQ(mean, std::vector<float>(large.size(), 2.5f));
  EXPECT_FALSE(accumulator.push(1, {1}).ok() && accumulator.push(1, {1, 2}).ok()) << "they have no mean";
}

TEST(GradientMean, AStepThatIsBrokenOffLeavesNothingBehind) {
  Accumulator accumulator;
  TF_CHECK_OK(accumulator.push(0, {1}));
  EXPECT_TRUE(accumulator.take(2, 100).empty());
  TF_CHECK_OK(accumulator.push(0, {3}));
  EXPECT_TRUE(accumulator.take(1, 100).empty()) << "of another generation";
}

}  // namespace
}  // namespace mox
