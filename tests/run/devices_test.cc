// Several devices give the numbers of one device on the joined batch.
#include "run/toy_model.h"

namespace mox {
namespace {

using namespace mox::testing;

// The mean loss over the devices, of every step.
std::vector<double> losses(int num_gpus, int64_t batch_size, const std::string& log_dir) {
  set_flag("num_gpus", num_gpus);
  set_flag("log_first_clone", false);
  std::vector<double> losses;
  RunOptions options = toy_options(log_dir, 50);
  options.batch_size = batch_size;
  options.optimizer_fn = get_optimizer_fn("momentum", 0.02, {.momentum = 0.9f});
  collect_losses(&options, &losses);
  run(options);
  reset_flags();
  return losses;
}

TEST(Devices, TwoEqualOneOnTheJoinedBatch) {
  TempDir dir;
  const std::vector<double> one = losses(1, 16, dir.path("one")), two = losses(2, 8, dir.path("two"));
  ASSERT_EQ(one.size(), 50u);
  ASSERT_EQ(two.size(), 50u);
  for (size_t i = 0; i < one.size(); ++i) EXPECT_NEAR(one[i], two[i], 1e-5) << "step " << i;
  EXPECT_LT(one.back(), one.front() / 4);
}

TEST(Devices, PredictionsComeInOrderOfStepsAndDevices) {
  TempDir dir;
  run(toy_options(dir.path(), 1));
  set_flag("num_gpus", 2);
  RunOptions options = toy_options(dir.path(), 0, 8 * 6);
  options.run_mode = ModeKeys::PREDICT;
  options.output_every_n_steps = 3;
  options.model_fn = [](const Scope& s, const std::vector<Output>& inputs, ModeKeys mode) {
    ModelSpec spec = regression_model(s, inputs, mode);
    spec.output_info = {{"x", inputs[0]}};
    return spec;
  };
  std::vector<float> first;
  options.output_fn = [&](const std::vector<OutputDict>& outputs) {
    for (const OutputDict& dict : outputs) first.push_back(dict.at("x").matrix<float>()(0, 0));
  };
  run(options);
  reset_flags();
  ASSERT_EQ(first.size(), 6u);
  for (int i = 0; i < 6; ++i) EXPECT_NEAR(first[i], std::sin(8.f * i), 1e-5) << i;
}

// Five full batches and one of three samples on two devices: the last step has one batch only, and none is lost.
TEST(Devices, NoSampleIsLostWhereBatchesDoNotFillAStep) {
  TempDir dir;
  run(toy_options(dir.path(), 1));
  set_flag("num_gpus", 2);
  set_flag("log_first_clone", false);
  for (const int64_t samples : {8 * 4 + 3, 8 * 5 + 3}) {
    RunOptions options = toy_options(dir.path(), 0, samples);
    options.model_fn = [](const Scope& s, const std::vector<Output>& inputs, ModeKeys mode) {
      ModelSpec spec = regression_model(s, inputs, mode);
      spec.output_info = {{"y", inputs[1]}};
      spec.log_info = {
          {"first", ops::StridedSlice(s, inputs[0], {0, 0}, {1, 1}, {1, 1}, ops::StridedSlice::ShrinkAxisMask(3))}};
      return spec;
    };
    options.run_mode = ModeKeys::PREDICT;
    options.output_every_n_steps = 2;
    int64_t seen = 0, batches = 0;
    options.output_fn = [&](const std::vector<OutputDict>& outputs) {
      for (const OutputDict& dict : outputs) {
        seen += dict.at("y").NumElements();
        ++batches;
      }
    };
    run(options);
    EXPECT_EQ(seen, samples);
    options.run_mode = ModeKeys::EVAL;
    options.output_fn = nullptr;
    double sum = 0;
    for (int i = 0; i < batches; ++i) sum += std::sin(8.0 * i);
    EXPECT_NEAR(run(options).metrics[0].second, sum / batches, 1e-5) << samples;
  }
  reset_flags();
}

}  // namespace
}  // namespace mox
