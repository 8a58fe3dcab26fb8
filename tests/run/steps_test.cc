// Each step happens once: traced, resumed, and where something else than the input ends.
#include <filesystem>
#include <fstream>

#include "run/toy_model.h"
#include "tensorflow/core/lib/io/record_reader.h"
#include "tensorflow/core/platform/env.h"
#include "tensorflow/core/util/event.pb.h"

namespace mox {
namespace {

using namespace mox::testing;
namespace fs = std::filesystem;

// Counts its calls.
class Counter : public SessionRunHook {
 public:
  void after_run(SessionRunContext& context, const SessionRunValues&) override {
    steps.push_back(context.local_step());
  }
  std::vector<int64_t> steps;
};

struct Trained {
  RunResult result;
  std::vector<int64_t> hook_steps;
  std::string log;
};

Trained train_traced(const std::string& dir, int64_t trace_step) {
  Trained trained;
  const auto hook = std::make_shared<Counter>();
  RunOptions options = toy_options(dir, 6);
  options.trace_step = trace_step;
  options.log_every_n_steps = 1;
  options.save_model_steps = 1;
  options.keep_checkpoint_max = 0;
  options.model_fn = [hook](const Scope& s, const std::vector<Output>& inputs, ModeKeys mode) {
    ModelSpec spec = regression_model(s, inputs, mode);
    spec.hooks = {hook};
    return spec;
  };
  LogCapture log;
  trained.result = run(options);
  trained.hook_steps = hook->steps;
  trained.log = log.all();
  return trained;
}

TEST(Steps, ATracedStepIsOneStep) {
  TempDir dir;
  const Trained plain = train_traced(dir.path("plain"), -1), traced = train_traced(dir.path("traced"), 3);
  EXPECT_EQ(traced.result.steps, 6);
  EXPECT_EQ(traced.result.global_step, 6);
  EXPECT_EQ(traced.hook_steps, (std::vector<int64_t>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(traced.result.metrics, plain.result.metrics);  // the same samples, each once
  for (int step = 1; step <= 6; ++step)
    EXPECT_TRUE(fs::exists(dir.path("traced/model.ckpt-" + std::to_string(step) + ".index"))) << step;
  for (int step = 0; step < 6; ++step)
    EXPECT_NE(traced.log.find("step: " + std::to_string(step) + "(global step: " + std::to_string(step) + ")"),
              std::string::npos)
        << traced.log;
  EXPECT_NE(traced.log.find("time of step 3 by operation"), std::string::npos) << traced.log;
  EXPECT_TRUE(fs::exists(dir.path("traced/timeline-3.json")));
  EXPECT_NE(train_traced(dir.path("late"), 6).log.find("nothing was traced"), std::string::npos);
}

class Starter : public SessionRunHook {
 public:
  void after_create_session(HookSession& session) override { session.run({"own_iterator/make"}); }
};

// model_fn reads an iterator of its own, which ends after three elements.
ModelSpec model_with_iterator(const Scope& s, const std::vector<Output>& inputs, ModeKeys mode) {
  ModelSpec spec = regression_model(s, inputs, mode);
  const Output n = ops::Cast(s, counting_input(s, 3, "own_iterator")[0], tensorflow::DT_FLOAT);
  spec.log_info.emplace_back("n", n);
  spec.hooks = {std::make_shared<Starter>()};
  return spec;
}

TEST(Steps, TheEndOfAnotherIteratorIsAnError) {
  for (const ModeKeys mode : {ModeKeys::TRAIN, ModeKeys::EVAL}) {
    TempDir dir;
    run(toy_options(dir.path(), 1));
    RunOptions options = toy_options(dir.path(), 100, 4000);
    options.model_fn = model_with_iterator;
    options.run_mode = mode;
    options.log_every_n_steps = 1;
    const std::string error = error_of<RunError>([&] { run(options); });
    EXPECT_NE(error.find("step 3 "), std::string::npos) << error;
    EXPECT_NE(error.find("End of sequence"), std::string::npos) << error;
    EXPECT_NE(error.find("own_iterator"), std::string::npos) << error;
  }
}

class EndsItself : public SessionRunHook {
 public:
  void after_run(SessionRunContext&, const SessionRunValues&) override { throw OutOfRangeError("a file ended"); }
};

TEST(Steps, WhatAHookThrowsIsNotTheEnd) {
  TempDir dir;
  RunOptions options = toy_options(dir.path(), 6);
  options.model_fn = [](const Scope& s, const std::vector<Output>& inputs, ModeKeys mode) {
    ModelSpec spec = regression_model(s, inputs, mode);
    spec.hooks = {std::make_shared<EndsItself>()};
    return spec;
  };
  const std::string error = error_of<RunError>([&] { run(options); });
  EXPECT_NE(error.find("a file ended"), std::string::npos) << error;
}

TEST(Steps, TheEndOfTheInputIsTheEnd) {
  for (const int64_t devices : {1, 2}) {
    TempDir dir;
    set_flag("num_gpus", FlagValue(devices));
    LogCapture log;
    const RunResult result = run(toy_options(dir.path(), 0, 40));
    reset_flags();
    EXPECT_EQ(result.steps, devices == 1 ? 5 : 2) << log.all();
    EXPECT_TRUE(log.contains("the input ended after")) << log.all();
  }
}

TEST(Steps, TensorBoardIsToldWhereASessionBegins) {
  TempDir dir;
  RunOptions options = toy_options(dir.path(), 4);
  options.save_summary_steps = 1;
  run(options);
  options.max_number_of_steps = 6;
  run(options);
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(dir.path()))
    if (entry.path().string().find(".tfevents.") != std::string::npos) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  ASSERT_EQ(files.size(), 2u);
  for (size_t i = 0; i < files.size(); ++i) {
    std::unique_ptr<tensorflow::RandomAccessFile> file;
    ASSERT_TRUE(tensorflow::Env::Default()->NewRandomAccessFile(files[i], &file).ok());
    tensorflow::io::RecordReader reader(file.get());
    uint64_t offset = 0;
    tensorflow::tstring record;
    int64_t starts = 0, summaries = 0;
    while (reader.ReadRecord(&offset, &record).ok()) {
      tensorflow::Event event;
      ASSERT_TRUE(event.ParseFromArray(record.data(), static_cast<int>(record.size())));
      summaries += event.has_summary();
      if (!event.has_session_log()) continue;
      EXPECT_EQ(event.session_log().status(), tensorflow::SessionLog::START);
      EXPECT_EQ(event.step(), i == 0 ? 0 : 4);
      EXPECT_EQ(summaries, 0) << "it comes first";
      ++starts;
    }
    EXPECT_EQ(starts, 1);
    EXPECT_EQ(summaries, i == 0 ? 4 : 2);
  }
}

}  // namespace
}  // namespace mox
