// Validation while a training runs: what it decides, and how a run with one goes.
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "moxing/moxing.h"
#include "run/epoch_clock.h"
#include "run/moving_average_ramp.h"
#include "run/progress_line.h"
#include "run/toy_model.h"
#include "run/validation_judge.h"

namespace mox {
namespace {

namespace ops = tensorflow::ops;
using tensorflow::Output;
using testing::LogCapture;
using testing::regression_input;
using testing::regression_model;
using testing::TempDir;

TEST(EpochClock, CountsWhatStepsAreNoMultipleOf) {
  const EpochClock clock(100, 32);
  EXPECT_TRUE(clock.knows());
  EXPECT_FALSE(EpochClock(100, 0).knows());
  EXPECT_DOUBLE_EQ(clock.epochs(25), 8);
  // An epoch is over with the first step that has its last sample.
  for (int64_t step = 0; step < 200; ++step) EXPECT_EQ(clock.whole_epochs(step), step * 32 / 100) << step;
  EXPECT_EQ(clock.steps(1), 4);
  EXPECT_EQ(clock.steps(8), 25);
  EXPECT_EQ(clock.steps(0.001), 1);
  EXPECT_EQ(clock.whole_epochs(int64_t{1} << 60),
            ((int64_t{1} << 60) / 100) * 32 + ((int64_t{1} << 60) % 100) * 32 / 100);
  EXPECT_EQ(epochs_text(12), "12");
  EXPECT_EQ(epochs_text(3.254), "3.25");
}

TEST(ValidationJudge, StopsAfterItsPatienceAndLowersBeforeThat) {
  ValidationJudge judge({.metric = "accuracy", .stop_patience = 4, .plateau_patience = 2});
  EXPECT_FALSE(judge.less_is_better());
  EXPECT_TRUE(judge.judge(0.5, 10).best);
  EXPECT_TRUE(judge.judge(0.6, 20).best);
  EXPECT_FALSE(judge.judge(0.6, 30).plateau);  // as good is no gain
  EXPECT_TRUE(judge.judge(0.1, 40).plateau);
  const auto third = judge.judge(NAN, 50);
  EXPECT_FALSE(third.plateau || third.stop || third.best);
  const auto fourth = judge.judge(0.2, 60);
  EXPECT_TRUE(fourth.stop);
  EXPECT_FALSE(fourth.plateau);
  EXPECT_TRUE(judge.stopped());
  EXPECT_DOUBLE_EQ(*judge.best(), 0.6);
  EXPECT_EQ(judge.best_step(), 20);
  EXPECT_EQ(judge.text(), "best accuracy: 0.600 (step 20), without gain: 4 of 4");
}

TEST(ValidationJudge, GoesOnWhereItWas) {
  const ValidationJudge::Options options{.metric = "loss", .stop_patience = 3};
  ValidationJudge whole(options), first(options);
  const std::vector<double> values = {3, 2, 2.5, 1, 1.5, 1.25, 4};
  for (size_t i = 0; i < 4; ++i) first.judge(values[i], static_cast<int64_t>(i));
  ValidationJudge second(options);
  second.restore(first.state());
  for (size_t i = 0; i < values.size(); ++i) {
    const auto verdict = whole.judge(values[i], static_cast<int64_t>(i));
    if (i >= 4) EXPECT_EQ(second.judge(values[i], static_cast<int64_t>(i)).stop, verdict.stop) << i;
  }
  EXPECT_EQ(second.state(), whole.state());
  EXPECT_TRUE(second.stopped());
  ValidationJudge patient({.metric = "loss", .stop_patience = 30});
  patient.restore(second.state());
  EXPECT_FALSE(patient.stopped());  // the patience that there is now
  ValidationJudge other({.metric = "accuracy", .stop_patience = 3});
  other.restore(second.state());
  EXPECT_FALSE(other.best());
}

TEST(ProgressLine, TellsEpochRateLossAndTheTimeThatIsLeft) {
  ProgressLine line(100, false);
  line.smooth({{"loss", 2}, {"accuracy", 0.5}});
  line.smooth({{"loss", 2}, {"accuracy", 0.5}});
  EXPECT_EQ(line.text({.done = 40, .epochs = 0.8, .learning_rate = 0.01, .samples_per_step = 32}, 10),
            "[========            ] 40/100  epoch 0.80  lr 0.01  loss 2.000  accuracy 0.500  128 samples/s  15 s left");
  EXPECT_EQ(ProgressLine(0, false).text({.done = 8}, 4), "8 steps  2.0 steps/s");
  // A jump counts a tenth, from the second value on.
  line.smooth({{"loss", 4}});
  EXPECT_NE(line.text({.done = 1}, 1).find("loss 2.738"), std::string::npos) << line.text({.done = 1}, 1);
  EXPECT_EQ(duration_text(59.4), "59 s");
  EXPECT_EQ(duration_text(185), "3 min 05 s");
  EXPECT_EQ(duration_text(7620), "2 h 07 min");
}

RunOptions training(const TempDir& dir, int64_t steps) {
  return {
      .input_fn = [](const Scope& s, ModeKeys mode) { return regression_input(s, mode == ModeKeys::EVAL ? 20 : 0); },
      .model_fn = regression_model,
      .optimizer_fn = get_optimizer_fn("sgd", 0.1f),
      .batch_size = 8,
      .log_dir = dir.path(),
      .max_number_of_steps = steps,
      .random_seed = 1,
  };
}

TEST(Validation, IsThatOfAnEvaluationOfTheSameWeights) {
  const TempDir dir;
  RunOptions options = training(dir, 10);
  options.eval_every_n_steps = 4;
  options.keep_best = "loss";
  LogCapture log;
  const RunResult result = run(options);
  ASSERT_EQ(result.validation.size(), 1u);
  // 20 samples are batches of 8, 8 and 4: each sample counts once.
  RunOptions eval = training(dir, 0);
  eval.run_mode = ModeKeys::EVAL;
  eval.optimizer_fn = {};
  eval.batch_size = 20;
  eval.log_dir.clear();
  eval.checkpoint_path = dir.path();
  const RunResult evaluated = run(eval);
  EXPECT_NEAR(result.validation[0].second, evaluated.metrics[0].second, 1e-6);
  EXPECT_TRUE(log.contains("[Validation] step: 4\tsamples: 20")) << log.all();
  EXPECT_TRUE(log.contains("[Validation] step: 8")) << log.all();
  EXPECT_TRUE(log.contains("[Validation] step: 10")) << log.all();  // the last step
  ASSERT_TRUE(result.best_validation);
  EXPECT_EQ(result.best_validation->global_step, 10);
  std::ifstream file(dir.path("best_checkpoint.json"));
  const auto best = nlohmann::json::parse(file);
  EXPECT_EQ(best["metric"], "validation/loss");
  EXPECT_EQ(best["checkpoint"], "model.ckpt-10");
  EXPECT_NEAR(best["value"].get<double>(), evaluated.metrics[0].second, 1e-6);
  EXPECT_TRUE(std::filesystem::exists(dir.path("validation")));
}

TEST(Validation, EndsATrainingThatDoesNotGainAndItStaysEnded) {
  const TempDir dir;
  RunOptions options = training(dir, 1000);
  options.eval_every_n_steps = 5;
  options.keep_best = "loss";
  options.keep_best_mode = "max";  // it falls
  options.early_stopping_patience = 3;
  LogCapture log;
  EXPECT_EQ(run(options).global_step, 20);
  EXPECT_TRUE(log.contains("[EarlyStopping] loss did not gain in 3 validations")) << log.all();
  const RunResult again = run(options);
  EXPECT_EQ(again.steps, 0);
  EXPECT_TRUE(log.contains("nothing to train: early stopping ended this training")) << log.all();
  options.early_stopping_patience = 5;
  EXPECT_EQ(run(options).global_step, 30);
}

TEST(Validation, ABestCheckpointThatCouldNotBeSavedIsNotTheOneToBeat) {
  const TempDir dir;
  std::filesystem::create_directories(dir.path("model.ckpt-4.data-00000-of-00001/x"));  // a disk that refuses it
  RunOptions options = training(dir, 12);
  options.eval_every_n_steps = 4;
  options.keep_best = "loss";
  options.keep_best_mode = "max";  // it falls: the first is the best
  LogCapture log;
  run(options);
  EXPECT_TRUE(log.contains("checkpoint of step 4 was not saved")) << log.all();
  std::ifstream file(dir.path("best_checkpoint.json"));
  EXPECT_EQ(nlohmann::json::parse(file)["checkpoint"], "model.ckpt-8");
}

TEST(Validation, OptionsThatDoNotGoTogetherAreToldBefore) {
  const TempDir dir;
  const auto error = [&](auto change) {
    RunOptions options = training(dir, 5);
    change(options);
    try {
      run(options);
    } catch (const InvalidArgumentError& e) {
      return std::string(e.what());
    }
    return std::string("none");
  };
  EXPECT_NE(error([](RunOptions& o) { o.num_epochs = 2; }).find("samples_per_epoch is needed with num_epochs"),
            std::string::npos);
  EXPECT_NE(error([](RunOptions& o) { o.early_stopping_patience = 2; }).find("needs a validation"), std::string::npos);
  EXPECT_NE(error([](RunOptions& o) {
              o.eval_every_n_steps = 2, o.eval_every_n_epochs = 2, o.samples_per_epoch = 9;
            }).find("give one"),
            std::string::npos);
  EXPECT_NE(error([](RunOptions& o) {
              o.eval_every_n_steps = 2, o.eval_monitor = "acuracy";
            }).find("eval_monitor is 'acuracy', which is not in model_fn's log_info of mode EVAL; there is: loss"),
            std::string::npos);
  EXPECT_NE(error([](RunOptions& o) {
              o.eval_every_n_steps = 2, o.plateau_patience = 3, o.early_stopping_patience = 3;
            }).find("larger early_stopping_patience"),
            std::string::npos);
  EXPECT_NE(error([](RunOptions& o) {
              o.eval_every_n_steps = 2, o.plateau_patience = 3, o.plateau_factor = 1;
            }).find("plateau_factor is 1"),
            std::string::npos);
  EXPECT_NE(error([](RunOptions& o) {
              o.eval_every_n_steps = 2, o.plateau_factor = 0.5;
            }).find("plateau_factor is given without plateau_patience"),
            std::string::npos);
  EXPECT_NE(error([](RunOptions& o) { o.keep_best_mode = "max"; }).find("keep_best_mode is given without keep_best"),
            std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(dir.path("checkpoint")));
}

TEST(NumEpochs, OrMaxNumberOfStepsWhicheverIsFirst) {
  const TempDir dir;
  RunOptions options = training(dir, 0);
  options.num_epochs = 3;
  options.samples_per_epoch = 20;  // 2.5 steps
  LogCapture log;
  EXPECT_EQ(run(options).global_step, 8);
  EXPECT_TRUE(log.contains("num_epochs 3 is 8 steps of 8 samples")) << log.all();
  EXPECT_EQ(run(options).steps, 0);
  EXPECT_TRUE(log.contains("has reached num_epochs 3 (8 steps)")) << log.all();
  options.num_epochs = 8;
  options.max_number_of_steps = 10;
  EXPECT_EQ(run(options).global_step, 10);
  EXPECT_TRUE(log.contains("but max_number_of_steps 10 comes first: 4 epochs")) << log.all();
}

TEST(LogMean, IsTheMeanSinceTheLineBefore) {
  std::vector<double> each, means;
  double last = 0;  // what the run says at its end
  for (const bool mean : {false, true}) {
    const TempDir dir;
    RunOptions options = training(dir, 11);
    options.log_every_n_steps = mean ? 4 : 1;
    options.log_mean = mean;
    last = run(options).metrics[0].second;
    std::ifstream file(dir.path("log.jsonl"));
    for (std::string line; std::getline(file, line);)
      (mean ? means : each).push_back(nlohmann::json::parse(line)["loss"].get<double>());
  }
  ASSERT_EQ(each.size(), 11u);
  ASSERT_EQ(means.size(), 3u);
  EXPECT_NEAR(means[0], each[0], 1e-9);
  EXPECT_NEAR(means[1], (each[1] + each[2] + each[3] + each[4]) / 4, 1e-6);
  EXPECT_NEAR(means[2], (each[5] + each[6] + each[7] + each[8]) / 4, 1e-6);
  EXPECT_NEAR(last, (each[9] + each[10]) / 2, 1e-6);
}

// A batch norm of inputs that are 3 everywhere.
ModelSpec averaging_model(const Scope& s, const std::vector<Output>& inputs, ModeKeys mode) {
  const Output threes = ops::Add(s, ops::Multiply(s, inputs[0], 0.f), 3.f);
  layers::BatchNormOptions options;
  options.decay = 0.9997f;
  options.is_training = mode == ModeKeys::TRAIN;
  const Output loss = ops::Mean(s, layers::batch_norm(s, threes, "BatchNorm", options), {0, 1});
  const Output average = s.reuse_variables().var_scope("BatchNorm").get_variable("moving_mean", {4});
  return {.loss = loss, .log_info = {{"average", ops::Mean(s, average, 0)}}};
}

TEST(MovingAverages, OfAShortTrainingAreThoseOfItsLastTwentieth) {
  for (const bool ramp : {false, true}) {
    const TempDir dir;
    RunOptions options = training(dir, 200);
    options.model_fn = averaging_model;
    options.moving_average_ramp = ramp;
    options.eval_every_n_steps = 200;
    LogCapture log;
    const RunResult result = run(options);
    ASSERT_EQ(result.validation.size(), 1u);
    const double expected = ramp ? 3 : 3 * (1 - std::pow(0.9997, 200));
    EXPECT_NEAR(result.validation[0].second, expected, 1e-3);
    EXPECT_EQ(log.contains("have the decay 0.9997, which needs some 15349 steps, but 200 are planned"), !ramp)
        << log.all();
    EXPECT_EQ(log.contains("batch_norm_decay=0.9, or the run moving_average_ramp=true"), !ramp) << log.all();
  }
}

TEST(MovingAverages, RampToTheirOwnDecay) {
  EXPECT_EQ(decay_for(200), 0.9);
  EXPECT_EQ(decay_for(10'000'000), 0.9999);
  EXPECT_EQ(steps_of_average(0.9), 44);
}

TEST(Batches, ThatAreToBeJoinedOnceMoreAreTold) {
  const TempDir dir;
  RunOptions options = training(dir, 2);
  options.batch_size = 4;  // x has four numbers; without a second input that has, too, nothing is said
  LogCapture log;
  run(options);
  EXPECT_FALSE(log.contains("tensors that all begin with"));
  options.log_dir.clear();
  options.input_fn = [](const Scope& s, ModeKeys) {
    const auto inputs = regression_input(s, 0);
    return std::vector<Output>{inputs[0], ops::Multiply(s, inputs[0], 2.f)};
  };
  options.model_fn = [](const Scope& s, const std::vector<Output>& inputs, ModeKeys) {
    const Output w = s.get_variable("w", {}, {.initializer = zeros_initializer()});
    return ModelSpec{.loss = ops::Mean(s, ops::Multiply(s, inputs[1], w), {0, 1})};
  };
  run(options);
  EXPECT_TRUE(log.contains("input_fn returns tensors that all begin with 4: where these are batches of 4"))
      << log.all();
}

}  // namespace
}  // namespace mox
