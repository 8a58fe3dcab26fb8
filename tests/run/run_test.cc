#include "moxing/run.h"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "base/pattern.h"
#include "run/toy_model.h"

namespace mox {
namespace {

using namespace mox::testing;
namespace fs = std::filesystem;

TEST(Run, TrainsLogsAndSaves) {
  TempDir dir;
  LogCapture log;
  const RunResult result = run(toy_options(dir.path("run"), 200));
  EXPECT_EQ(result.steps, 200);
  EXPECT_EQ(result.global_step, 200);
  EXPECT_LT(result.metrics[0].second, 1e-2) << "the line was not learned";
  EXPECT_EQ(result.checkpoint, dir.path("run/model.ckpt-200"));
  EXPECT_TRUE(fs::exists(dir.path("run/model.ckpt-200.index")));
  EXPECT_TRUE(log.contains("Running will end at step: 200"));
}

TEST(Run, LogLinesAreTheManuals) {
  TempDir dir;
  LogCapture log;
  RunOptions options = toy_options(dir.path(), 21);
  options.log_every_n_steps = 10;
  run(options);
  std::vector<std::string> steps;
  for (const std::string& line : log.lines())
    if (line.rfind("step: ", 0) == 0) steps.push_back(line);
  ASSERT_EQ(steps.size(), 3u);
  for (int i = 0; i < 3; ++i) {
    const std::string n = std::to_string(i * 10);
    EXPECT_TRUE(Pattern("^step: " + n + R"(\(global step: )" + n + R"(\)\tsample/sec: \d+\.\d{3}\tloss: \d+\.\d{3}$)")
                    .found_in(steps[i]))
        << steps[i];
  }
  std::ifstream json(dir.path("log.jsonl"));
  std::string line;
  ASSERT_TRUE(std::getline(json, line));
  const auto first = parse_json(line);
  EXPECT_EQ(first["step"], 0);
  EXPECT_GT(first["sample/sec"], 0);
  EXPECT_GT(first["loss"], 0);
}

TEST(Run, ResumesWhereItStopped) {
  TempDir dir;
  run(toy_options(dir.path(), 10));
  LogCapture log;
  const RunResult result = run(toy_options(dir.path(), 15));
  EXPECT_EQ(result.steps, 5);
  EXPECT_EQ(result.global_step, 15);
  EXPECT_TRUE(log.contains("going on from it")) << log.all();
  EXPECT_TRUE(log.contains("step: 0(global step: 10)")) << log.all();
}

TEST(Run, ADoneRunSaysSoAndStops) {
  TempDir dir;
  run(toy_options(dir.path(), 10));
  LogCapture log;
  const RunResult result = run(toy_options(dir.path(), 10));
  EXPECT_EQ(result.steps, 0);
  EXPECT_TRUE(log.contains("nothing to train: the restored global step 10 has reached max_number_of_steps 10"))
      << log.all();
}

// Batches of 8 whose size the graph does not know.
std::vector<Output> batch_of_unknown_size(const Scope& s, ModeKeys) {
  const Output numbers = ops::Unique(s, ops::Range(s, 0, 8, 1)).y;
  const Output row = ops::Reshape(s, ops::Cast(s, numbers, tensorflow::DT_FLOAT), {-1, 1});
  const Output x = ops::Tile(s, ops::Sin(s, row), {1, 4});
  return {x, ops::Sum(s, x, 1)};
}

TEST(Run, WithoutABatchSizeTheInputGivesBatchesThatTheLogCounts) {
  TempDir dir;
  RunOptions options = toy_options(dir.path(), 3);
  options.batch_size = 0;
  options.input_fn = batch_of_unknown_size;
  options.log_every_n_steps = 1;
  for (int devices : {1, 2}) {
    set_flag("num_gpus", devices);
    options.log_dir = dir.path(std::to_string(devices));
    LogCapture log;
    EXPECT_EQ(run(options).steps, 3);
    EXPECT_TRUE(log.contains("batch_size is not given: what input_fn returns is taken as batches")) << log.all();
    EXPECT_TRUE(log.contains("step: 2(global step: 2)\tsample/sec: ")) << log.all();
    EXPECT_FALSE(log.contains("sample/sec: 0.000")) << log.all();
  }
  reset_flags();
}

TEST(Run, TheLastStepIsToldAsAGlobalOne) {
  TempDir dir;
  run(toy_options(dir.path(), 5));
  LogCapture log;
  EXPECT_EQ(run(toy_options(dir.path(), 12)).steps, 7);
  EXPECT_TRUE(log.contains("Running will end at step: 12")) << log.all();
}

TEST(Run, AFiniteInputEndsTheRun) {
  TempDir dir;
  const RunResult result = run(toy_options(dir.path(), 0, 8 * 7 + 3));
  EXPECT_EQ(result.steps, 7);
  EXPECT_TRUE(fs::exists(dir.path("model.ckpt-7.index")));
}

TEST(Run, AnInputThatIsTooSmallIsAnError) {
  TempDir dir;
  EXPECT_NE(error_of<DataError>([&] { run(toy_options(dir.path(), 0, 3)); }).find("fewer samples than a batch"),
            std::string::npos);
}

TEST(Run, EvalAveragesOverAllStepsAndNeedsACheckpoint) {
  TempDir dir;
  RunOptions options = toy_options(dir.path(), 0, 32);
  options.run_mode = ModeKeys::EVAL;
  EXPECT_NE(error_of<NotFoundError>([&] { run(options); }).find("EVAL needs a checkpoint"), std::string::npos);
  run(toy_options(dir.path(), 3));
  LogCapture log;
  const RunResult result = run(options);
  EXPECT_EQ(result.steps, 4);
  EXPECT_EQ(result.global_step, 3);
  double sum = 0;
  options.log_every_n_steps = 1;
  LogCapture each;
  run(options);
  for (const std::string& line : each.lines())
    if (line.rfind("step: ", 0) == 0) sum += std::stod(line.substr(line.find("loss: ") + 6));
  EXPECT_NEAR(result.metrics[0].second, sum / 4, 2e-3);
  EXPECT_TRUE(each.contains("[Evaluation] steps: 4(global step: 3)\tloss: ")) << each.all();
}

TEST(Run, EvalCountsALastBatchThatIsNotFull) {
  TempDir dir;
  run(toy_options(dir.path(), 3));
  RunOptions options = toy_options(dir.path(), 0, 8 + 1);
  options.run_mode = ModeKeys::EVAL;
  EXPECT_EQ(run(options).steps, 2);
}

TEST(Run, PredictDeliversEverySample) {
  TempDir dir;
  run(toy_options(dir.path(), 3));
  RunOptions options = toy_options(dir.path(), 0, 8 * 5 + 2);
  options.run_mode = ModeKeys::PREDICT;
  options.output_every_n_steps = 4;
  std::vector<size_t> calls;
  int64_t samples = 0;
  options.output_fn = [&](const std::vector<OutputDict>& outputs) {
    calls.push_back(outputs.size());
    for (const OutputDict& dict : outputs) samples += dict.at("y").NumElements();
  };
  run(options);
  EXPECT_EQ(calls, (std::vector<size_t>{4, 2}));
  EXPECT_EQ(samples, 42);
}

TEST(Run, SavesEveryNSteps) {
  TempDir dir;
  RunOptions options = toy_options(dir.path(), 10);
  options.save_model_steps = 3;
  run(options);
  for (int step : {3, 6, 9, 10})
    EXPECT_TRUE(fs::exists(dir.path("model.ckpt-" + std::to_string(step) + ".index"))) << step;
}

TEST(Run, SecsWinOverSteps) {
  TempDir dir;
  RunOptions options = toy_options(dir.path(), 10);
  options.save_model_steps = 3;
  options.save_model_secs = 1000;
  run(options);
  EXPECT_FALSE(fs::exists(dir.path("model.ckpt-3.index")));
  EXPECT_TRUE(fs::exists(dir.path("model.ckpt-10.index")));
}

TEST(Run, KeepsTheNewest) {
  TempDir dir;
  RunOptions options = toy_options(dir.path(), 10);
  options.save_model_steps = 1;
  options.keep_checkpoint_max = 2;
  run(options);
  int found = 0;
  for (const auto& entry : fs::directory_iterator(dir.path())) found += entry.path().extension() == ".index";
  EXPECT_EQ(found, 2);
}

TEST(Run, ANonFiniteLossStopsAndKeepsTheLastCheckpoint) {
  TempDir dir;
  RunOptions options = toy_options(dir.path(), 100);
  options.save_model_steps = 1;
  options.optimizer_fn = get_optimizer_fn("sgd", 1e10);
  const std::string error = error_of<RunError>([&] { run(options); });
  EXPECT_NE(error.find("tensor Mean"), std::string::npos) << error;
  EXPECT_TRUE(Pattern(R"(at step \d+ \(global step \d+\))").found_in(error)) << error;
  EXPECT_NE(error.find("the last checkpoint is " + dir.path("model.ckpt-")), std::string::npos) << error;
}

TEST(Run, ExportsUnderTheNextNumber) {
  TempDir dir;
  RunOptions options = toy_options(dir.path(), 3);
  options.export_model = export_keys::TF_SERVING;
  EXPECT_EQ(run(options).export_dir, dir.path("1"));
  options.max_number_of_steps = 4;
  EXPECT_EQ(run(options).export_dir, dir.path("2"));
  EXPECT_TRUE(fs::exists(dir.path("2/saved_model.pb")));
  EXPECT_TRUE(fs::exists(dir.path("2/variables/variables.index")));
}

TEST(Run, AnExistingExportFolderIsAnErrorBeforeTraining) {
  TempDir dir;
  RunOptions options = toy_options(dir.path(), 3);
  options.export_model = export_keys::TF_SERVING;
  options.model_fn = [](const Scope& s, const std::vector<Output>& inputs, ModeKeys mode) {
    ModelSpec spec = regression_model(s, inputs, mode);
    spec.export_spec->version = "model";
    return spec;
  };
  fs::create_directories(dir.path("model"));
  EXPECT_NE(error_of<InvalidArgumentError>([&] { run(options); }).find(dir.path("model")), std::string::npos);
  EXPECT_FALSE(fs::exists(dir.path("checkpoint")));
}

struct BadCase {
  const char* name;
  std::function<void(RunOptions*)> change;
  const char* expected;
};

class BadInput : public ::testing::TestWithParam<BadCase> {};

TEST_P(BadInput, IsAnErrorBeforeTraining) {
  TempDir dir;
  RunOptions options = toy_options(dir.path(), 3);
  GetParam().change(&options);
  const std::string error = error_of<InvalidArgumentError>([&] { run(options); });
  EXPECT_NE(error.find(GetParam().expected), std::string::npos) << error;
  EXPECT_FALSE(fs::exists(dir.path("checkpoint")));
}

ModelFn with_spec(std::function<void(const Scope&, ModelSpec*)> change) {
  return [change](const Scope& s, const std::vector<Output>& inputs, ModeKeys mode) {
    ModelSpec spec = regression_model(s, inputs, mode);
    change(s, &spec);
    return spec;
  };
}

INSTANTIATE_TEST_SUITE_P(
    Run, BadInput,
    ::testing::Values(
        BadCase{"NoLoss",
                [](RunOptions* o) { o->model_fn = with_spec([](const Scope&, ModelSpec* m) { m->loss = {}; }); },
                "lacks loss"},
        BadCase{"LossIsNoScalar",
                [](RunOptions* o) {
                  o->model_fn = with_spec([](const Scope&, ModelSpec* m) { m->loss = m->output_info[0].second; });
                },
                "must be a scalar"},
        BadCase{"NoTrainableVariable",
                [](RunOptions* o) {
                  o->model_fn = with_spec([](const Scope& s, ModelSpec* m) { m->loss = ops::Const(s, 1.f); });
                },
                "depends on no trainable variable"},
        BadCase{"NoBatchSize",
                [](RunOptions* o) {
                  o->batch_size = 0;
                  o->input_fn = [](const Scope& s, ModeKeys) { return std::vector<Output>{ops::Const(s, 1.f)}; };
                },
                "batch_size is needed"},
        BadCase{"NegativeBatchSize", [](RunOptions* o) { o->batch_size = -1; }, "batch_size is -1"},
        BadCase{"NoLogDirForTheBest",
                [](RunOptions* o) {
                  o->log_dir = "";
                  o->keep_best = "loss";
                },
                "log_dir is needed with keep_best"},
        BadCase{"UnwritableLogDir", [](RunOptions* o) { o->log_dir = "/proc/mox"; }, "cannot be written"},
        BadCase{"NoModelFn", [](RunOptions* o) { o->model_fn = nullptr; }, "model_fn is needed"},
        BadCase{"NoOptimizerFn", [](RunOptions* o) { o->optimizer_fn = nullptr; }, "optimizer_fn is needed"},
        BadCase{"ExportMode", [](RunOptions* o) { o->run_mode = ModeKeys::EXPORT; }, "EXPORT is used by MoXing alone"},
        BadCase{"UnknownExport", [](RunOptions* o) { o->export_model = "ONNX"; }, "there is TF_SERVING"},
        BadCase{"NoExportSpec",
                [](RunOptions* o) {
                  o->export_model = export_keys::TF_SERVING;
                  o->model_fn = with_spec([](const Scope&, ModelSpec* m) { m->export_spec.reset(); });
                },
                "lacks export_spec"},
        BadCase{"PlaceholderInInput",
                [](RunOptions* o) {
                  o->input_fn = [](const Scope& s, ModeKeys) {
                    return std::vector<Output>{
                        ops::Placeholder(s.WithOpName("mine"), tensorflow::DT_FLOAT, ops::Placeholder::Shape({4}))};
                  };
                },
                "placeholder 'mine'"},
        BadCase{"BadGraph",
                [](RunOptions* o) {
                  o->model_fn = [](const Scope& s, const std::vector<Output>& in, ModeKeys) {
                    ops::MatMul(s, in[0], ops::Const(s, 1.f, {7, 7}));
                    return ModelSpec{};
                  };
                },
                "model_fn"}),
    [](const auto& info) { return info.param.name; });

// The manual's examples train so.
TEST(Run, WithoutALogDirNothingIsSaved) {
  LogCapture log;
  RunOptions options = toy_options("", 30);
  options.save_model_steps = 5;
  options.save_histogram_steps = 5;
  const RunResult result = run(options);
  EXPECT_EQ(result.steps, 30);
  EXPECT_EQ(result.checkpoint, "");
  EXPECT_LT(result.metrics.at(0).second, 1.0);
  EXPECT_TRUE(log.contains("no log_dir is given: nothing of this training is saved")) << log.all();
  EXPECT_TRUE(log.contains("step: 20(global step: 20)")) << log.all();
  options.optimizer_fn = get_optimizer_fn("sgd", 1e10);
  EXPECT_NE(error_of<RunError>([&] { run(options); }).find("no checkpoint yet"), std::string::npos);
}

TEST(Run, AFetchStrategyDecidesWhatAStepFetches) {
  TempDir dir;
  LogCapture log;
  std::vector<bool> planned;
  size_t outputs = 0;
  RunOptions options = toy_options(dir.path(), 6);
  options.log_every_n_steps = 2;
  options.output_fn = [&](const std::vector<OutputDict>& some) { outputs += some.size(); };
  options.fetch_strategy_fn = [&](int64_t step, const StepFetches& plan) {
    planned.push_back(plan.log_info);
    EXPECT_FALSE(plan.output_info) << "output_every_n_steps is 0";
    return StepFetches{.log_info = step == 5, .summaries = false, .output_info = step >= 4};
  };
  run(options);
  EXPECT_EQ(planned, (std::vector<bool>{true, false, true, false, true, false}));
  EXPECT_EQ(outputs, 2u);
  EXPECT_TRUE(log.contains("step: 5(global step: 5)")) << log.all();
  EXPECT_FALSE(log.contains("step: 0(global step: 0)")) << log.all();
  options.run_mode = ModeKeys::EVAL;
  planned.clear();
  const RunResult result = run(options);
  EXPECT_EQ(planned.size(), 6u);
  EXPECT_EQ(result.metrics.size(), 1u);
  options.fetch_strategy_fn = [](int64_t, const StepFetches&) -> StepFetches { throw std::string("mine"); };
  EXPECT_THROW(run(options), std::string);
}

TEST(Run, WhatAUserFunctionThrowsComesOut) {
  struct Mine {};
  TempDir dir;
  RunOptions options = toy_options(dir.path(), 3);
  options.model_fn = [](const Scope&, const std::vector<Output>&, ModeKeys) -> ModelSpec { throw Mine(); };
  EXPECT_THROW(run(options), Mine);
}

}  // namespace
}  // namespace mox
