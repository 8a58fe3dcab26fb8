// Checkpoints: the loading rules, patterns, broken files, failing saves.
#include <filesystem>
#include <fstream>

#include "run/toy_model.h"

namespace mox {
namespace {

using namespace mox::testing;
namespace fs = std::filesystem;

void overwrite(const std::string& path, int64_t offset, char change) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(offset);
  char c;
  file.get(c);
  file.seekp(offset);
  file.put(c ^ change);
}

std::string data_file(const std::string& prefix) { return prefix + ".data-00000-of-00001"; }

void train_saving(const std::string& dir, int64_t steps) {
  RunOptions options = toy_options(dir, steps);
  options.save_model_steps = 2;
  run(options);
}

TEST(Checkpoint, LogDirWinsOverCheckpointPath) {
  TempDir dir;
  train_saving(dir.path("a"), 4);
  train_saving(dir.path("b"), 6);
  RunOptions options = toy_options(dir.path("a"), 8);
  options.checkpoint_path = dir.path("b");
  LogCapture log;
  EXPECT_EQ(run(options).steps, 4);
  EXPECT_TRUE(log.contains("checkpoint_path is ignored")) << log.all();
}

TEST(Checkpoint, PathMayBeAFolderOrAPrefix) {
  TempDir dir;
  train_saving(dir.path("a"), 6);
  RunOptions options = toy_options(dir.path("b"), 10);
  options.checkpoint_path = dir.path("a");
  RunResult result = run(options);
  EXPECT_EQ(result.steps, 10) << "the step of the other training came along";
  EXPECT_EQ(result.global_step, 10);
  options.log_dir = dir.path("c");
  options.checkpoint_path = dir.path("a/model.ckpt-4");
  LogCapture log;
  EXPECT_EQ(run(options).steps, 10);
  EXPECT_TRUE(log.contains("loaded 2 of 2 variables from checkpoint " + dir.path("a/model.ckpt-4"))) << log.all();
  options.log_dir = dir.path("d");
  options.checkpoint_path = dir.path("nowhere");
  EXPECT_NE(error_of<NotFoundError>([&] { run(options); }).find(dir.path("nowhere")), std::string::npos);
}

TEST(Checkpoint, ExcludePatternsLeaveVariablesOut) {
  TempDir dir;
  train_saving(dir.path("a"), 6);
  set_flag("checkpoint_exclude_patterns", "global_step,^b$");
  RunOptions options = toy_options(dir.path("b"), 3);
  options.checkpoint_path = dir.path("a");
  LogCapture log;
  const RunResult result = run(options);
  reset_flags();
  EXPECT_EQ(result.steps, 3) << "the global step was loaded";
  EXPECT_TRUE(log.contains("loaded 1 of 2 variables")) << log.all();
}

TEST(Checkpoint, EvalLoadsWhatPatternsLeaveOut) {
  TempDir dir;
  train_saving(dir.path("a"), 200);
  set_flag("checkpoint_exclude_patterns", "global_step,^b$");
  RunOptions options = toy_options("", 0, 32);
  options.run_mode = ModeKeys::EVAL;
  options.checkpoint_path = dir.path("a");
  LogCapture log;
  const RunResult result = run(options);
  reset_flags();
  EXPECT_LT(result.metrics[0].second, 1e-2);
  EXPECT_TRUE(
      log.contains("EVAL trains nothing: what checkpoint_include_patterns and checkpoint_exclude_patterns leave "
                   "out is loaded, too: "))
      << log.all();
}

TEST(Checkpoint, AFolderWithoutOneIsAStartFromNothingInTrainAlone) {
  TempDir dir;
  fs::create_directory(dir.path("empty"));
  RunOptions options = toy_options(dir.path("a"), 3);
  options.checkpoint_path = dir.path("empty");
  LogCapture log;
  EXPECT_EQ(run(options).steps, 3);
  EXPECT_TRUE(log.contains("checkpoint_path '" + dir.path("empty") + "' has no checkpoint")) << log.all();
  options.log_dir = "";
  options.run_mode = ModeKeys::EVAL;
  EXPECT_NE(error_of<NotFoundError>([&] { run(options); }).find("has no checkpoint"), std::string::npos);
}

TEST(Checkpoint, AnotherModelsShapesAreNamed) {
  TempDir dir;
  train_saving(dir.path("a"), 2);
  RunOptions options = toy_options(dir.path("b"), 3);
  options.checkpoint_path = dir.path("a");
  options.model_fn = [](const Scope& s, const std::vector<Output>& inputs, ModeKeys) {
    Output w = s.get_variable("w", {4, 2});
    Output loss = ops::Mean(s, ops::MatMul(s, inputs[0], w), {0, 1});
    return ModelSpec{.loss = loss};
  };
  const std::string error = error_of<InvalidArgumentError>([&] { run(options); });
  EXPECT_NE(error.find("w: the model's is float [4,2], the checkpoint's float [4,1]"), std::string::npos) << error;
  EXPECT_NE(error.find("--checkpoint_exclude_patterns"), std::string::npos) << error;
}

TEST(Checkpoint, ABrokenOneIsWarnedOfAndTheOneBeforeIsTaken) {
  for (const char* damage : {"flip", "truncate data", "truncate index", "no data"}) {
    TempDir dir;
    train_saving(dir.path(), 6);
    const std::string newest = dir.path("model.ckpt-6");
    if (damage == std::string("flip")) overwrite(data_file(newest), 3, 1);
    if (damage == std::string("truncate data")) fs::resize_file(data_file(newest), 5);
    if (damage == std::string("truncate index")) fs::resize_file(newest + ".index", 20);
    if (damage == std::string("no data")) fs::remove(data_file(newest));
    LogCapture log;
    EXPECT_EQ(run(toy_options(dir.path(), 8)).steps, 4) << damage;
    EXPECT_TRUE(log.contains("checkpoint " + newest + " is broken")) << damage << "\n" << log.all();
    EXPECT_TRUE(log.contains("model.ckpt-4: going on from it")) << damage << "\n" << log.all();
  }
}

TEST(Checkpoint, WhenAllAreBrokenNothingIsStartedAnew) {
  TempDir dir;
  train_saving(dir.path(), 4);
  for (int step : {2, 4}) fs::resize_file(data_file(dir.path("model.ckpt-" + std::to_string(step))), 1);
  EXPECT_NE(error_of<DataError>([&] { run(toy_options(dir.path(), 8)); }).find("none of the 2 checkpoints"),
            std::string::npos);
}

TEST(Checkpoint, AMissingStateFileDoesNotHideCheckpoints) {
  TempDir dir;
  train_saving(dir.path(), 4);
  fs::remove(dir.path("checkpoint"));
  EXPECT_EQ(run(toy_options(dir.path(), 6)).steps, 2);
}

TEST(Checkpoint, AFailingSaveLetsTrainingGoOn) {
  // A folder in the way of one checkpoint's file stands for a disk that refuses it.
  TempDir dir;
  fs::create_directories(data_file(dir.path("model.ckpt-4")) + "/x");
  LogCapture log;
  RunOptions options = toy_options(dir.path(), 6);
  options.save_model_steps = 2;
  EXPECT_EQ(run(options).steps, 6);
  EXPECT_TRUE(log.contains("checkpoint of step 4 was not saved")) << log.all();
  EXPECT_TRUE(log.contains("the last good one is " + dir.path("model.ckpt-2"))) << log.all();
  EXPECT_TRUE(fs::exists(dir.path("model.ckpt-6.index")));
}

TEST(Checkpoint, AFailingLastSaveIsTheRunsError) {
  TempDir dir;
  fs::create_directories(data_file(dir.path("model.ckpt-3")) + "/x");
  EXPECT_NE(error_of<RunError>([&] { run(toy_options(dir.path(), 3)); }).find("the last checkpoint was not saved"),
            std::string::npos);
}

}  // namespace
}  // namespace mox
