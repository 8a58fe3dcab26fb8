// mox::run with passes/fast_convolutions.h and without it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "graph/graph_session.h"
#include "moxing/moxing.h"
#include "passes/fast_convolutions.h"
#include "passes/processor.h"
#include "run/toy_model.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace mox {
namespace {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;
using testing::Environment;
using testing::TempDir;
using tf::Output;

constexpr size_t kSteps = 6;

// A small network: 3x3 and 1x1 convolutions with stride 1 and 2, one of them in groups, one of a padded image, with
// batch norm or a bias, and depthwise ones.
Output logits_of(const Scope& s, Output x, ModeKeys mode) {
  const layers::Normalizer norm =
      layers::batch_normalizer({.decay = 0.5f, .scale = true, .is_training = mode == ModeKeys::TRAIN, .fused = true});
  x = layers::conv2d(s, x, 32, 3, "a", {.normalizer = norm});
  const Output skip = layers::conv2d(s, x, 48, 1, "skip", {.stride = 2, .activation = nullptr, .normalizer = norm});
  x = layers::conv2d(s, x, 16, 1, "b", {.normalizer = norm});
  x = layers::pad2d(s, x, {1, 1, 1, 1}, "c/Pad");
  x = layers::conv2d(s, x, 16, 3, "c", {.stride = 2, .padding = layers::Padding::kValid});
  x = layers::conv2d(s, x, 48, 3, "d", {.activation = layers::relu6});
  x = ops::AddV2(s, x, skip);
  x = ops::AddV2(s, x, layers::conv2d(s, x, 48, 3, "grouped", {.groups = 12, .activation = nullptr}));
  x = layers::depthwise_conv2d(s, x, 5, "f", {.activation = layers::relu6});
  x = layers::depthwise_conv2d(s, x, 3, "g", {.normalizer = norm});
  x = layers::conv2d(s, x, 32, 3, "e", {.padding = layers::Padding::kValid});
  const Output features = ops::Cast(s, layers::global_avg_pool(s, x, "pool", false), tf::DT_FLOAT);
  return layers::fully_connected(s, features, 4, "logits", {.activation = nullptr});
}

// Images of 14x15 that tell which of four waves they have most of; so many in modes other than TRAIN.
RunOptions options_of(const std::string& log_dir, int64_t steps, tf::DataType type, int64_t samples) {
  RunOptions options = testing::toy_options(log_dir, steps);
  options.random_seed = 7;
  options.input_fn = [samples](const Scope& s, ModeKeys mode) -> std::vector<Output> {
    const int64_t count = mode == ModeKeys::TRAIN ? 0 : samples;
    const Output n = ops::Cast(s, testing::counting_input(s, count)[0], tf::DT_FLOAT), label = ops::FloorMod(s, n, 4.f);
    const auto wave = [&](const Output& of, int seed) {
      return ops::Sin(
          s, ops::Multiply(s, of, ops::Const(s, tf::Input::Initializer(random_tensor({14, 15, 16}, seed, 0, 3)))));
    };
    return {ops::AddV2(s, wave(label, 1), wave(n, 2)), ops::Cast(s, label, tf::DT_INT32)};
  };
  options.model_fn = [type](const Scope& root, const std::vector<Output>& inputs, ModeKeys mode) -> ModelSpec {
    const Scope s = type == tf::DT_FLOAT ? root : root.var_scope(tf::DT_FLOAT);
    const Output logits = logits_of(s, type == tf::DT_FLOAT ? inputs[0] : Output(ops::Cast(s, inputs[0], type)), mode);
    const Output loss = ops::Mean(s, ops::SparseSoftmaxCrossEntropyWithLogits(s, logits, inputs[1]).loss, 0);
    return {.loss = loss,
            .log_info = {{"loss", loss}},
            .output_info = {mode == ModeKeys::TRAIN ? std::pair("loss", loss) : std::pair("logits", logits)}};
  };
  return options;
}

class FastConvolutionsInARun : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::has_vectors()) GTEST_SKIP() << "this processor has no AVX2";
  }
  void TearDown() override { reset_flags(); }
};

// The losses of a training.
std::vector<double> losses_of_training(tf::DataType type, int threads, bool fast, int seed = 7) {
  const Environment environment("MOX_FAST_CONVOLUTIONS", fast ? "1" : "0");
  TempDir dir;
  std::vector<double> losses;
  reset_flags();
  set_flag("num_intra_threads", threads);
  set_flag("num_inter_threads", 1);
  RunOptions options = options_of(dir.path(), kSteps, type, 0);
  options.random_seed = seed;
  options.output_every_n_steps = 1;
  options.output_fn = [&](const std::vector<OutputDict>& outputs) {
    losses.push_back(outputs[0].at("loss").scalar<float>()());
  };
  run(options);
  return losses;
}

double relative(double a, double b) { return std::abs(a / b - 1); }

// The largest of all steps.
double difference(const std::vector<double>& a, const std::vector<double>& b) {
  EXPECT_EQ(a.size(), kSteps);
  EXPECT_EQ(b.size(), kSteps);
  double largest = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) largest = std::max(largest, relative(a[i], b[i]));
  return largest;
}

// The losses differ by 1e-6. But where the last bit decides on which side of 0 the input of a ReLU lies, its gradient
// comes or stays away, and the losses differ by some 1e-4 from that step on: one of three trainings may be such a one.
TEST_F(FastConvolutionsInARun, TrainAsWithoutThem) {
  int close = 0;
  for (const int seed : {1, 2, 3}) {
    const std::vector<double> without = losses_of_training(tf::DT_FLOAT, 1, false, seed),
                              with = losses_of_training(tf::DT_FLOAT, 1, true, seed);
    EXPECT_LT(with.back(), 0.7 * with.front()) << "nothing is learned: the test shows nothing";
    EXPECT_NE(with, without) << "bit for bit: the convolutions were not given away";
    close += difference(with, without) <= 1e-4;
    EXPECT_LE(difference(with, without), 5e-3) << "seed " << seed;
  }
  EXPECT_GE(close, 2);
}

// Bit for bit on one thread. On two other operations add in another order.
TEST_F(FastConvolutionsInARun, TrainTheSameAgain) {
  for (const tf::DataType type : {tf::DT_FLOAT, tf::DT_BFLOAT16}) {
    const std::vector<double> one = losses_of_training(type, 1, true);
    EXPECT_EQ(one, losses_of_training(type, 1, true)) << tf::DataTypeString(type);
    EXPECT_LE(difference(losses_of_training(type, 2, true), one), 1e-2) << tf::DataTypeString(type);
  }
}

// A bias that is added before the sum is rounded, and sums that round to the neighbour, make more than 1e-4 of the
// loss: as much as bfloat16 differs from float32. They must not differ more from it than without.
TEST_F(FastConvolutionsInARun, TrainAsExactlyInBfloat16) {
  const std::vector<double> exact = losses_of_training(tf::DT_FLOAT, 1, false),
                            without = losses_of_training(tf::DT_BFLOAT16, 1, false),
                            with = losses_of_training(tf::DT_BFLOAT16, 1, true);
  EXPECT_LE(difference(with, without), 1e-2);
  EXPECT_LE(difference(with, exact), 2 * difference(without, exact) + 1e-4);
  if (!testing::has_matrices()) EXPECT_NE(with, without) << "bit for bit: the convolutions were not given away";
}

// Another batch at the end, which chooses another algorithm.
constexpr int64_t kSamples = 8 * 3 + 1;
// A validation counts samples, an evaluation batches: the same where all are full.
constexpr int64_t kWhole = 8 * 3;

std::vector<float> predictions(const TempDir& dir, bool fast) {
  const Environment environment("MOX_FAST_CONVOLUTIONS", fast ? "1" : "0");
  RunOptions options = options_of(dir.path(), 0, tf::DT_FLOAT, kSamples);
  options.run_mode = ModeKeys::PREDICT;
  options.output_every_n_steps = 1;
  std::vector<float> all;
  options.output_fn = [&](const std::vector<OutputDict>& outputs) {
    for (const OutputDict& output : outputs) {
      const auto logits = output.at("logits").flat<float>();
      all.insert(all.end(), logits.data(), logits.data() + logits.size());
    }
  };
  run(options);
  EXPECT_EQ(all.size(), kSamples * 4);
  return all;
}

double evaluation(const TempDir& dir, bool fast, int64_t samples) {
  const Environment environment("MOX_FAST_CONVOLUTIONS", fast ? "1" : "0");
  RunOptions options = options_of(dir.path(), 0, tf::DT_FLOAT, samples);
  options.run_mode = ModeKeys::EVAL;
  return run(options).metrics[0].second;
}

// Of the largest.
double difference(const std::vector<float>& a, const std::vector<float>& b) {
  double largest = 0, apart = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    largest = std::max(largest, std::abs(double{b[i]}));
    apart = std::max(apart, std::abs(double{a[i]} - b[i]));
  }
  return apart / largest;
}

// Filters are packed once in a run that does not train: each has those of its checkpoint.
TEST_F(FastConvolutionsInARun, PredictAndEvaluateWhatWasTrainedLast) {
  TempDir dir;
  std::vector<float> last;
  for (const int64_t steps : {1, 3, 4}) {
    EXPECT_EQ(run(options_of(dir.path(), steps, tf::DT_FLOAT, 0)).global_step, steps);
    const std::vector<float> with = predictions(dir, true), without = predictions(dir, false);
    EXPECT_LE(difference(with, without), 1e-5) << steps;
    EXPECT_NE(with, without) << "bit for bit: the convolutions were not given away";
    EXPECT_EQ(with, predictions(dir, true)) << steps;
    EXPECT_LE(relative(evaluation(dir, true, kSamples), evaluation(dir, false, kSamples)), 1e-5) << steps;
    if (!last.empty()) EXPECT_GT(difference(with, last), 1e-3) << "nothing is trained: the test shows nothing";
    last = with;
  }
}

// In one session with a training: between its steps filters change.
TEST_F(FastConvolutionsInARun, ValidateWhatWasTrainedLast) {
  TempDir dir;
  double last = 0;
  for (const int64_t steps : {2, 5}) {  // after the first validation its filters have changed
    RunOptions options = options_of(dir.path(), steps, tf::DT_FLOAT, kWhole);
    options.eval_every_n_steps = 1;
    const RunResult result = run(options);
    ASSERT_EQ(result.validation.size(), 1u);
    const double loss = result.validation[0].second;
    EXPECT_LE(relative(loss, evaluation(dir, false, kWhole)), 1e-5) << steps;
    EXPECT_LE(relative(loss, evaluation(dir, true, kWhole)), 1e-5) << steps;
    EXPECT_GT(relative(loss, last), 1e-3) << "nothing is trained: the test shows nothing";
    last = loss;
  }
}

}  // namespace
}  // namespace mox
