// Hooks: when they are called, what they feed and fetch, and the evaluation in inter_mode.
#include "moxing/hooks.h"

#include <filesystem>

#include "base/pattern.h"
#include "run/toy_model.h"

namespace mox {
namespace {

using namespace mox::testing;
using tensorflow::Tensor;

ModelFn with_hooks(
    std::function<std::vector<std::shared_ptr<SessionRunHook>>(const Scope&, const ModelSpec&, ModeKeys)> make) {
  return [make](const Scope& s, const std::vector<Output>& inputs, ModeKeys mode) {
    ModelSpec spec = regression_model(s, inputs, mode);
    spec.hooks = make(s, spec, mode);
    return spec;
  };
}

// Notes its calls, and what a fetch gave in each step.
class Recorder : public AggregativeSessionRunHook {
 public:
  Recorder(Output fetch, bool aggregates = false) : fetch_(fetch), aggregates_(aggregates) {}
  bool support_aggregation() const override { return aggregates_; }
  void begin(const Scope&) override { calls += "begin "; }
  void after_create_session(HookSession&) override { calls += "created "; }
  SessionRunArgs before_run(SessionRunContext& context) override {
    calls += "before" + std::to_string(context.local_step()) + " ";
    return {.fetches = {fetch_}, .feed_dict = {}};
  }
  void after_run(SessionRunContext& context, const SessionRunValues& values) override {
    calls += "after" + std::to_string(context.global_step()) + " ";
    fetched.push_back(values.results.at(0).scalar<float>()());
    if (context.local_step() == stop_at) context.request_stop();
  }
  void end(HookSession&) override { calls += "end"; }

  std::string calls;
  std::vector<float> fetched;
  int64_t stop_at = -1;

 private:
  const Output fetch_;
  const bool aggregates_;
};

TEST(Hooks, AreCalledAroundEveryStep) {
  TempDir dir;
  std::shared_ptr<Recorder> recorder;
  RunOptions options = toy_options(dir.path(), 2);
  options.log_every_n_steps = 1;
  options.model_fn = with_hooks([&](const Scope&, const ModelSpec& spec, ModeKeys) {
    recorder = std::make_shared<Recorder>(spec.loss.all()[0]);
    return std::vector<std::shared_ptr<SessionRunHook>>{recorder};
  });
  const RunResult result = run(options);
  EXPECT_EQ(recorder->calls, "begin created before0 after0 before1 after1 end");
  ASSERT_EQ(recorder->fetched.size(), 2u);
  EXPECT_FLOAT_EQ(recorder->fetched[1], result.metrics[0].second) << "it fetched another step's loss";
  options.max_number_of_steps = 3;  // goes on at global step 2
  run(options);
  EXPECT_EQ(recorder->calls, "begin created before0 after2 end");
}

TEST(Hooks, RequestStopEndsTheRunWithACheckpoint) {
  TempDir dir;
  RunOptions options = toy_options(dir.path(), 100);
  options.model_fn = with_hooks([&](const Scope&, const ModelSpec& spec, ModeKeys) {
    auto recorder = std::make_shared<Recorder>(spec.loss.all()[0]);
    recorder->stop_at = 6;
    return std::vector<std::shared_ptr<SessionRunHook>>{recorder};
  });
  EXPECT_EQ(run(options).steps, 7);
  EXPECT_TRUE(std::filesystem::exists(dir.path("model.ckpt-7.index")));
}

// The manual's second example: a placeholder that is also in log_info.
TEST(Hooks, FeedPlaceholders) {
  TempDir dir;
  LogCapture log;
  RunOptions options = toy_options(dir.path(), 3);
  options.log_every_n_steps = 1;
  options.model_fn = [](const Scope& s, const std::vector<Output>& inputs, ModeKeys mode) {
    ModelSpec spec = regression_model(s, inputs, mode);
    Output x = ops::Placeholder(s.WithOpName("x"), tensorflow::DT_FLOAT, ops::Placeholder::Shape({}));
    spec.log_info = {{"x", x}, {"twice", ops::Multiply(s, x, 2.f)}};
    Tensor value(1.5f);
    spec.hooks = {std::make_shared<FeedSessionRunHook>(FeedDict{{x, value}})};
    return spec;
  };
  run(options);
  EXPECT_TRUE(log.contains("x: 1.500\ttwice: 3.000")) << log.all();
}

TEST(Hooks, TwoThatFeedTheSameAreAnError) {
  TempDir dir;
  RunOptions options = toy_options(dir.path(), 3);
  options.model_fn = [](const Scope& s, const std::vector<Output>& inputs, ModeKeys mode) {
    ModelSpec spec = regression_model(s, inputs, mode);
    Output x = ops::Placeholder(s.WithOpName("x"), tensorflow::DT_FLOAT);
    for (int i = 0; i < 2; ++i) spec.hooks.push_back(std::make_shared<FeedSessionRunHook>(FeedDict{{x, Tensor(1.f)}}));
    return spec;
  };
  EXPECT_NE(error_of<InvalidArgumentError>([&] { run(options); }).find("two hooks feed the tensor x:0"),
            std::string::npos);
}

std::vector<std::shared_ptr<Recorder>> on_two_devices(bool aggregates, const std::string& log_dir,
                                                      std::vector<float>* batches) {
  std::vector<std::shared_ptr<Recorder>> recorders;
  set_flag("num_gpus", 2);
  RunOptions options = toy_options(log_dir, 2);
  options.model_fn = [&](const Scope& s, const std::vector<Output>& inputs, ModeKeys mode) {
    ModelSpec spec = regression_model(s, inputs, mode);
    Output mean = ops::Mean(s, inputs[1], 0);
    recorders.push_back(std::make_shared<Recorder>(mean, aggregates));
    spec.hooks = {recorders.back()};
    spec.output_info = {{"mean", mean}};
    return spec;
  };
  options.output_every_n_steps = 1;
  options.output_fn = [&](const std::vector<OutputDict>& outputs) {
    for (const OutputDict& output : outputs) batches->push_back(output.at("mean").scalar<float>()());
  };
  run(options);
  reset_flags();
  return recorders;
}

TEST(Hooks, OnDevicesActAsOneWithAggregation) {
  TempDir dir;
  std::vector<float> batches;
  const auto recorders = on_two_devices(true, dir.path(), &batches);
  EXPECT_EQ(recorders[0]->calls, "begin created before0 after0 before1 after1 end");
  EXPECT_EQ(recorders[1]->calls, "begin before0 before1 ");
  ASSERT_EQ(batches.size(), 4u);
  for (int step = 0; step < 2; ++step)
    EXPECT_NEAR(recorders[0]->fetched[step], (batches[2 * step] + batches[2 * step + 1]) / 2, 1e-5);
}

TEST(Hooks, OnDevicesRunForThemselvesWithoutAggregation) {
  TempDir dir;
  std::vector<float> batches;
  const auto recorders = on_two_devices(false, dir.path(), &batches);
  for (int device = 0; device < 2; ++device)
    for (int step = 0; step < 2; ++step)
      EXPECT_NEAR(recorders[device]->fetched[step], batches[2 * step + device], 1e-5);
}

// input_fn: training counts up from 0; evaluation gives 0, 1, … 15 once. What was seen is in the variables' values.
struct Evaluation {
  std::vector<std::string> lines;
  std::vector<int64_t> trained_on;  // the first sample of each training batch
  int64_t steps = 0;
  int restarts = 0;
};

// monitor: makes the metric that is evaluated.
Evaluation evaluate(const std::string& log_dir, int64_t steps, int64_t batch, int64_t samples_in_train,
                    std::function<std::shared_ptr<SessionRunHook>(EvaluationOptions)> make,
                    int64_t samples_in_eval = 16, const OptimizerFn& optimizer = get_optimizer_fn("sgd", 0.0)) {
  Evaluation result;
  RunOptions options = toy_options(log_dir, steps);
  options.batch_size = batch;
  options.inter_mode = ModeKeys::EVAL;
  options.optimizer_fn = optimizer;
  options.input_fn = [](const Scope& s, ModeKeys mode) { return counting_input(s, mode == ModeKeys::TRAIN ? 0 : 16); };
  options.model_fn = [&](const Scope& s, const std::vector<Output>& inputs, ModeKeys mode) {
    Output n = ops::Cast(s, inputs[0], tensorflow::DT_FLOAT);
    Output w = s.get_variable("w", {}, {.initializer = constant_initializer(1.f)});
    Output loss = ops::Mean(s, ops::Multiply(s, ops::OnesLike(s, n), w), 0);
    Output mean = ops::Mean(s, n, 0);
    ModelSpec spec{.loss = loss, .log_info = {{"loss", loss}}, .output_info = {{"n", inputs[0]}}};
    spec.hooks = {make({.monitor_info = {{"mean", mean}, {"w", w}},
                        .batch_size = batch,
                        .samples_in_train = samples_in_train,
                        .samples_in_eval = samples_in_eval})};
    return spec;
  };
  options.output_every_n_steps = 1;
  options.output_fn = [&](const std::vector<OutputDict>& outputs) {
    result.trained_on.push_back(outputs[0].at("n").vec<int64_t>()(0));
  };
  LogCapture log;
  result.steps = run(options).steps;
  for (const std::string& line : log.lines())
    if (line[0] == '[') result.lines.push_back(line);
  return result;
}

std::vector<std::string> steps_of(const std::vector<std::string>& lines) {
  std::vector<std::string> steps;
  const Pattern step(R"(\] step: (\d+) )");
  for (const std::string& line : lines)
    for (const auto& groups : step.matches(line)) steps.push_back(groups[1]);
  return steps;
}

std::shared_ptr<SessionRunHook> log_hook(EvaluationOptions options) {
  return std::make_shared<LogEvaluationMetricHook>(std::move(options));
}

TEST(InterMode, LogEvaluationMetricHookFiresAtTheEndOfEpochs) {
  TempDir dir;
  const Evaluation e = evaluate(dir.path("a"), 100, 32, 1000, log_hook);
  EXPECT_EQ(steps_of(e.lines), (std::vector<std::string>{"31", "63", "95"}));
  EXPECT_EQ(e.lines[0], "[VALIDATION METRICS] step: 31 mean: 7.500 w: 1.000");
  const Evaluation two = evaluate(dir.path("b"), 100, 32, 640, [](EvaluationOptions options) {
    options.evaluate_every_n_epochs = 2;
    options.prefix = "[X]";
    return log_hook(options);
  });
  EXPECT_EQ(two.lines,
            (std::vector<std::string>{"[X] step: 39 mean: 7.500 w: 1.000", "[X] step: 79 mean: 7.500 w: 1.000"}));
}

TEST(InterMode, SharesTheVariablesAndLeavesTheTrainingInputAlone) {
  TempDir dir;
  // The gradient of the loss by w is 1: w is 1 - 0.25 * steps at each evaluation. Two batches of the 16 each time.
  const Evaluation e = evaluate(dir.path(), 6, 8, 16, log_hook, 16, get_optimizer_fn("sgd", 0.25));
  EXPECT_EQ(e.lines, (std::vector<std::string>{"[VALIDATION METRICS] step: 1 mean: 7.500 w: 0.500",
                                               "[VALIDATION METRICS] step: 3 mean: 7.500 w: 0.000",
                                               "[VALIDATION METRICS] step: 5 mean: 7.500 w: -0.500"}));
  EXPECT_EQ(e.trained_on, (std::vector<int64_t>{0, 8, 16, 24, 32, 40}));
}

TEST(InterMode, AnEvaluationSetThatIsTooSmallBeginsAgain) {
  TempDir dir;
  const Evaluation e = evaluate(dir.path(), 2, 8, 16, log_hook, 8 * 3);  // batches 0..7, 8..15, 0..7
  ASSERT_EQ(e.lines.size(), 1u);
  EXPECT_NEAR(std::stod(e.lines[0].substr(e.lines[0].find("mean: ") + 6)), (3.5 + 11.5 + 3.5) / 3, 1e-3);
}

TEST(InterMode, EarlyStoppingStopsAtTheFourthEvaluationWithoutGain) {
  TempDir dir;
  const Evaluation e = evaluate(dir.path(), 1000, 32, 640, [](EvaluationOptions options) {
    return std::make_shared<EarlyStoppingHook>(
        options, EarlyStoppingOptions{.monitor = "mean", .min_delta = 0.01, .patience = 3});
  });
  EXPECT_EQ(steps_of(e.lines), (std::vector<std::string>{"19", "39", "59", "79"}));
  EXPECT_EQ(e.lines[0].rfind("[EarlyStopping] step: 19 mean: 7.500", 0), 0u) << e.lines[0];
  EXPECT_EQ(e.steps, 80);
  EXPECT_TRUE(std::filesystem::exists(dir.path("model.ckpt-80.index")));
}

TEST(InterMode, EarlyStoppingGoesOnWhileThereIsGain) {
  TempDir dir;
  // w falls by 0.05 a step, 1 in each evaluation: gain for min, none for max.
  auto with = [](const char* mode) {
    return [mode](EvaluationOptions options) {
      return std::make_shared<EarlyStoppingHook>(
          options, EarlyStoppingOptions{.monitor = "w", .min_delta = 0.01, .patience = 2, .mode = mode});
    };
  };
  const OptimizerFn sgd = get_optimizer_fn("sgd", 0.05);
  EXPECT_EQ(evaluate(dir.path("min"), 200, 32, 640, with("min"), 16, sgd).steps, 200);
  EXPECT_EQ(evaluate(dir.path("max"), 200, 32, 640, with("max"), 16, sgd).steps, 60);
  EXPECT_EQ(evaluate(dir.path("auto"), 200, 32, 640, with("auto"), 16, sgd).steps, 60);
}

TEST(InterMode, APlateauLowersTheLearningRateAndTheLastStops) {
  TempDir dir;
  const Evaluation e = evaluate(
      dir.path(), 1000, 8, 32,
      [](EvaluationOptions options) {
        return std::make_shared<PlateauLREarlyStoppingHook>(options,
                                                            EarlyStoppingOptions{.monitor = "mean", .patience = 1},
                                                            PlateauOptions{.lr_multiplier = 0.5f, .max_plateaus = 3});
      },
      16, get_optimizer_fn("sgd", 0.25));
  // Evaluations after 4, 8, 12, 16 steps: the rate is 0.25, 0.25, 0.125, 0.0625 in the four steps before each.
  std::vector<std::string> evaluations;
  for (const std::string& line : e.lines)
    if (line.find("w: ") != std::string::npos) evaluations.push_back(line.substr(line.find("w: ")));
  EXPECT_EQ(evaluations, (std::vector<std::string>{"w: 0.000", "w: -1.000", "w: -1.500", "w: -1.750"}));
  EXPECT_EQ(e.steps, 16);
}

TEST(InterMode, ThePlateausFactorIsInTheCheckpoint) {
  TempDir dir;
  auto make = [](EvaluationOptions options) {
    return std::make_shared<PlateauLREarlyStoppingHook>(options, EarlyStoppingOptions{.monitor = "mean", .patience = 1},
                                                        PlateauOptions{.lr_multiplier = 0.5f});
  };
  const OptimizerFn sgd = get_optimizer_fn("sgd", 1.0);
  evaluate(dir.path(), 8, 8, 32, make, 16, sgd);                        // w = 1 - 8 = -7, then the rate is 0.5
  const Evaluation e = evaluate(dir.path(), 12, 8, 32, make, 16, sgd);  // four steps more
  EXPECT_NE(e.lines.at(1).find("w: -9.000"), std::string::npos) << e.lines[1];
}

// Two runs together stop where one would: the best value and the count are in the checkpoint.
TEST(InterMode, AResumedTrainingKnowsWhatWasBest) {
  TempDir dir;
  auto stopping = [](const char* monitor) {
    return [monitor](EvaluationOptions options) {
      return std::make_shared<EarlyStoppingHook>(
          options, EarlyStoppingOptions{.monitor = monitor, .patience = 3, .mode = "min"});
    };
  };
  evaluate(dir.path("stop"), 40, 32, 640, stopping("mean"));
  const Evaluation stopped = evaluate(dir.path("stop"), 1000, 32, 640, stopping("mean"));
  EXPECT_EQ(stopped.steps, 40) << "the fourth evaluation of both";
  EXPECT_EQ(stopped.lines[0], "[EarlyStopping] the best mean so far: 7.500, evaluations without gain: 1");

  evaluate(dir.path("other"), 40, 32, 640, stopping("mean"));
  EXPECT_EQ(evaluate(dir.path("other"), 1000, 32, 640, stopping("w")).steps, 80) << "another metric begins anew";

  auto plateau = [](EvaluationOptions options) {
    return std::make_shared<PlateauLREarlyStoppingHook>(options, EarlyStoppingOptions{.monitor = "mean", .patience = 1},
                                                        PlateauOptions{.max_plateaus = 3});
  };
  evaluate(dir.path("plateau"), 8, 8, 32, plateau);  // the best, and the first plateau
  EXPECT_EQ(evaluate(dir.path("plateau"), 1000, 8, 32, plateau).steps, 8);
}

// A state of one's own: it counts the steps of all runs.
TEST(Hooks, AStateOfOnesOwnIsInTheCheckpoint) {
  struct Counter : SessionRunHook {
    int64_t steps = 0;
    std::vector<double> state() const override { return {static_cast<double>(steps)}; }
    void restore_state(const std::vector<double>& state) override { steps = static_cast<int64_t>(state.at(0)); }
    void after_run(SessionRunContext&, const SessionRunValues&) override { ++steps; }
  };
  TempDir dir, other;
  auto count = [](const std::string& log_dir, int64_t steps, const std::string& checkpoint_path = "") {
    auto counter = std::make_shared<Counter>();
    RunOptions options = toy_options(log_dir, steps);
    options.checkpoint_path = checkpoint_path;
    options.model_fn = with_hooks([&](const Scope&, const ModelSpec&, ModeKeys) {
      return std::vector<std::shared_ptr<SessionRunHook>>{counter};
    });
    run(options);
    return counter->steps;
  };
  EXPECT_EQ(count(dir.path(), 3), 3);
  EXPECT_EQ(count(dir.path(), 7), 7);
  EXPECT_EQ(count(other.path(), 9, dir.path()), 9) << "of another training's checkpoint only the variables are taken";
}

TEST(InterMode, AHookThatNeedsItSaysSo) {
  TempDir dir;
  auto make = [](const Scope&, const ModelSpec& spec, ModeKeys) {
    return std::vector<std::shared_ptr<SessionRunHook>>{
        log_hook({.monitor_info = {spec.log_info[0]}, .batch_size = 8, .samples_in_train = 8, .samples_in_eval = 8})};
  };
  RunOptions options = toy_options(dir.path(), 3);
  options.model_fn = with_hooks(make);
  EXPECT_NE(error_of<InvalidArgumentError>([&] { run(options); }).find("give inter_mode=EVAL"), std::string::npos);
  options.inter_mode = ModeKeys::EVAL;
  options.model_fn = with_hooks([&](const Scope& s, const ModelSpec& spec, ModeKeys mode) {
    return mode == ModeKeys::TRAIN ? make(s, spec, mode) : std::vector<std::shared_ptr<SessionRunHook>>{};
  });
  EXPECT_NE(error_of<InvalidArgumentError>([&] { run(options); }).find("make the hook in both"), std::string::npos);
  options.inter_mode.reset();
  options.model_fn = with_hooks(make);
  run(toy_options(dir.path(), 1));
  options.run_mode = ModeKeys::EVAL;  // not a training: the hook is left out
  EXPECT_EQ(run(options).steps, 3);
}

TEST(InterMode, OptionsThatCannotWorkAreErrors) {
  const Fetch x("x:0");
  const EvaluationOptions good{
      .monitor_info = {{"a", x}, {"b", x}}, .batch_size = 1, .samples_in_train = 1, .samples_in_eval = 1};
  EvaluationOptions bad = good;
  bad.samples_in_eval = 0;
  EXPECT_NE(error_of<InvalidArgumentError>([&] { LogEvaluationMetricHook hook(bad); }).find("samples_in_eval is 0"),
            std::string::npos);
  EXPECT_NE(error_of<InvalidArgumentError>([&] {
              EarlyStoppingHook hook(good, {.monitor = "c"});
            }).find("monitor 'c' is not in monitor_info; there is a, b"),
            std::string::npos);
  EXPECT_NE(error_of<InvalidArgumentError>([&] {
              EarlyStoppingHook hook(good, {.monitor = "a", .mode = "up"});
            }).find("expected auto, max or min"),
            std::string::npos);
}

}  // namespace
}  // namespace mox
