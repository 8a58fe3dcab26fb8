// A training that is resumed: it reads its input on from where it was, draws the same random numbers, and keeps its
// best checkpoint.
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "moxing/tensor_dataset.h"
#include "run/toy_model.h"

namespace mox {
namespace {

using namespace mox::testing;

constexpr int64_t kSamples = 50;  // an epoch ends in the middle of a batch

RunOptions shuffled_options(const std::string& log_dir, int64_t steps, std::vector<float>* losses, int64_t seed = 0) {
  RunOptions options = toy_options(log_dir, steps);
  options.input_fn = shuffled_rows(kSamples, seed);
  options.model_fn = [](const Scope& s, const std::vector<Output>& inputs, ModeKeys mode) {
    ModelSpec spec = regression_model(s, {layers::dropout(s, inputs[0], 0.8f, true), inputs[1]}, mode);
    spec.output_info = {{"loss", spec.loss.all()[0]}};
    return spec;
  };
  options.optimizer_fn = get_optimizer_fn("momentum", 0.01);
  options.output_every_n_steps = 1;
  options.output_fn = [losses](const std::vector<OutputDict>& outputs) {
    for (const OutputDict& output : outputs) losses->push_back(output.at("loss").scalar<float>()());
  };
  return options;
}

TEST(Resume, GivesTheLossesOfAnUninterruptedRunBitForBit) {
  set_flag("num_inter_threads", 1);
  set_flag("num_intra_threads", 1);
  for (int devices : {1, 2}) {
    set_flag("num_gpus", devices);
    TempDir whole, parts;
    std::vector<float> want, got;
    RunOptions options = shuffled_options(whole.path(), 40, &want);
    options.random_seed = 11;
    run(options);
    for (int64_t steps : {9, 10, 31, 40}) {
      options = shuffled_options(parts.path(), steps, &got);
      options.random_seed = 11;
      run(options);
    }
    EXPECT_EQ(got, want) << devices << " devices";
  }
  reset_flags();
}

// Without a seed every training has another order, but a resumed one has its own.
TEST(Resume, KeepsAnOrderThatNobodyChose) {
  TempDir dir;
  auto order_of = [&](int64_t steps) {
    std::vector<float> order, ignored;
    RunOptions options = shuffled_options(dir.path(), steps, &ignored);
    options.batch_size = 1;
    options.model_fn = [](const Scope& s, const std::vector<Output>& inputs, ModeKeys mode) {
      ModelSpec spec = regression_model(s, inputs, mode);
      spec.output_info = {{"x", inputs[0]}};
      return spec;
    };
    options.output_fn = [&](const std::vector<OutputDict>& outputs) {
      for (const OutputDict& output : outputs) order.push_back(output.at("x").flat<float>()(0));
    };
    run(options);
    return order;
  };
  std::vector<float> order = order_of(20);
  const std::vector<float> rest = order_of(kSamples);
  order.insert(order.end(), rest.begin(), rest.end());
  std::sort(order.begin(), order.end());
  EXPECT_EQ(std::unique(order.begin(), order.end()) - order.begin(), kSamples)
      << "one epoch, in two runs, reads every sample once";
}

TEST(Resume, AnotherTrainingsCheckpointDoesNotMoveTheInput) {
  TempDir first, second;
  std::vector<float> losses;
  run(shuffled_options(first.path(), 5, &losses, 3));
  LogCapture log;
  RunOptions options = shuffled_options(second.path(), 8, &losses, 3);
  options.checkpoint_path = first.path();
  run(options);
  EXPECT_FALSE(log.contains("the input goes on")) << log.all();
  options.max_number_of_steps = 10;
  run(options);
  EXPECT_TRUE(log.contains("the input goes on at sample 64")) << "8 steps of 8: " << log.all();
}

nlohmann::json best_of(const TempDir& dir) {
  std::ifstream in(dir.path("best_checkpoint.json"));
  return parse_json({std::istreambuf_iterator<char>(in), {}});
}

// A model whose log_info is a curve with its best in the middle.
RunOptions curve_options(const std::string& log_dir, int64_t steps) {
  RunOptions options = toy_options(log_dir, steps);
  options.model_fn = [](const Scope& s, const std::vector<Output>& inputs, ModeKeys mode) {
    ModelSpec spec = regression_model(s, inputs, mode);
    const Output step = ops::Cast(s, get_or_create_global_step(s).value, tensorflow::DT_FLOAT);
    spec.log_info = {{"accuracy", ops::Neg(s, ops::Abs(s, ops::Sub(s, step, 11.f)))}};
    return spec;
  };
  options.log_every_n_steps = 1;
  options.save_model_steps = 4;
  options.keep_checkpoint_max = 1;
  options.keep_best = "accuracy";
  return options;
}

TEST(BestCheckpoint, StaysBesideTheNewestAndOverRestarts) {
  TempDir dir;
  run(curve_options(dir.path(), 20));
  // Steps 8 to 11 are logged between the checkpoints 8 and 12.
  EXPECT_EQ(best_of(dir)["checkpoint"], "model.ckpt-12");
  EXPECT_DOUBLE_EQ(best_of(dir)["value"], -1.5);
  EXPECT_TRUE(std::filesystem::exists(dir.path("model.ckpt-12.index")));
  EXPECT_TRUE(std::filesystem::exists(dir.path("model.ckpt-20.index")));
  EXPECT_FALSE(std::filesystem::exists(dir.path("model.ckpt-8.index"))) << "it was the best before";
  EXPECT_FALSE(std::filesystem::exists(dir.path("model.ckpt-16.index")));
  run(curve_options(dir.path(), 28));
  EXPECT_EQ(best_of(dir)["checkpoint"], "model.ckpt-12");
  EXPECT_TRUE(std::filesystem::exists(dir.path("model.ckpt-12.index")));
  EXPECT_FALSE(std::filesystem::exists(dir.path("model.ckpt-20.index")));
}

TEST(BestCheckpoint, LessIsBetterWhenTheModeSaysSo) {
  TempDir dir;
  RunOptions options = curve_options(dir.path(), 20);
  options.keep_best_mode = "min";
  run(options);
  EXPECT_EQ(best_of(dir)["checkpoint"], "model.ckpt-4");
  options.keep_best = "accurracy";
  EXPECT_NE(error_of<InvalidArgumentError>([&] { run(options); }).find("there is: accuracy"), std::string::npos);
}

}  // namespace
}  // namespace mox
