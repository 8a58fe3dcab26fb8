// Numbers of a run that cannot work are told before anything starts.
#include "base/options.h"

#include <functional>
#include <limits>

#include "run/toy_model.h"

namespace mox {
namespace {

using namespace mox::testing;

std::string error_with(const std::function<void(RunOptions*)>& change) {
  TempDir dir;
  RunOptions options = toy_options(dir.path("run"), 1);
  change(&options);
  const std::string error = error_of<InvalidArgumentError>([&] { run(options); });
  EXPECT_FALSE(std::filesystem::exists(dir.path("run/checkpoint")));
  return error;
}

TEST(Options, NumbersHaveARangeThatErrorsTell) {
  const double inf = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(error_with([](RunOptions* o) { o->batch_size = int64_t{1} << 40; }),
            "batch_size is 1099511627776, expected an integer from 0 to 1048576; 0 means that the first input's shape "
            "tells it");
  EXPECT_EQ(
      error_with([](RunOptions* o) { o->max_number_of_steps = -1; }),
      "max_number_of_steps is -1, expected an integer from 0 to 9223372036854775807; 0 means until the input ends");
  EXPECT_EQ(
      error_with([](RunOptions* o) { o->save_model_steps = -2; }),
      "save_model_steps is -2, expected an integer from -1 to 9223372036854775807; -1 means that it is not given");
  EXPECT_EQ(error_with([=](RunOptions* o) { o->save_model_secs = nan; }),
            "save_model_secs is nan, expected a number from -1 to 1e+09; -1 means that it is not given");
  EXPECT_EQ(error_with([=](RunOptions* o) { o->stall_report_secs = inf; }),
            "stall_report_secs is inf, expected a number from 0 to 1e+09; 0 turns it off");
  for (const auto& [name, field] : std::initializer_list<std::pair<const char*, int64_t RunOptions::*>>{
           {"log_every_n_steps", &RunOptions::log_every_n_steps},
           {"output_every_n_steps", &RunOptions::output_every_n_steps},
           {"save_summary_steps", &RunOptions::save_summary_steps},
           {"save_histogram_steps", &RunOptions::save_histogram_steps},
           {"trace_step", &RunOptions::trace_step}})
    EXPECT_EQ(error_with([field = field](RunOptions* o) { o->*field = -7; }).rfind(std::string(name) + " is -7", 0), 0u)
        << name;
}

// Sets a field to a number outside of its range; returns what the error should be, "" where the field has no range.
template <typename T>
std::string spoil(const OptionInfo& option, T& field) {
  if constexpr (std::is_same_v<T, std::optional<double>> || (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>)) {
    if (option.least() == std::numeric_limits<int64_t>::min()) return "";
    field = static_cast<typename std::conditional_t<std::is_integral_v<T>, T, double>>(option.least() - 7);
    return std::string(option.name) + " is " + std::to_string(option.least() - 7) + ", expected " + option.expected();
  } else if constexpr (std::is_same_v<T, std::string>) {
    if (option.values.words.empty()) return "";
    field = "sideways";
    return std::string(option.name) + " is 'sideways', expected " + option.expected();
  }
  return "";
}

TEST(Options, EveryLineOfTheTableIsChecked) {
  int checked = 0;
#define MOX_RUN_OPTION(type, name, ...)                                                          \
  {                                                                                              \
    RunOptions ignored;                                                                          \
    const std::string expected = spoil(run_option(#name), ignored.name);                         \
    if (!expected.empty()) {                                                                     \
      EXPECT_EQ(error_with([](RunOptions* o) { spoil(run_option(#name), o->name); }), expected); \
      ++checked;                                                                                 \
    }                                                                                            \
  }
#include "moxing/run_options.inc"
  EXPECT_GE(checked, 13);
}

TEST(Options, AMissingLogDirIsToldOnce) {
  LogCapture log;
  run(toy_options("", 2));
  const std::string all = log.all();
  const std::string warning = "no log_dir is given: nothing of this training is saved";
  const size_t first = all.find(warning);
  ASSERT_NE(first, std::string::npos) << all;
  EXPECT_EQ(all.find(warning, first + 1), std::string::npos) << all;
}

TEST(Options, WhatCannotBeInMemoryIsToldBeforeItIsMade) {
  EXPECT_NE(error_with([](RunOptions* o) {
              o->batch_size = 1 << 20;
              o->input_fn = [](const Scope& s, ModeKeys) {
                return std::vector<Output>{ops::Fill(s, {2000, 2000, 3}, counting_input(s, 0)[0])};
              };
            }).find("batch_size is 1048576: a step's input on 1 device needs 1.01e+14 bytes, this machine has "),
            std::string::npos);
  const std::string error = error_with([](RunOptions* o) {
    o->model_fn = [](const Scope& s, const std::vector<Output>& inputs, ModeKeys mode) {
      s.get_variable("huge", {10'000'000, 10'000'000});
      return regression_model(s, inputs, mode);
    };
  });
  EXPECT_NE(error.find("variable huge of shape [10000000,10000000] needs 4e+14 bytes, this machine has "),
            std::string::npos)
      << error;
}

TEST(Options, ATaskWithoutItsClusterIsRefused) {
  set_flag("task_index", 1);
  EXPECT_NE(error_of<InvalidArgumentError>([] { run(toy_options("", 1)); }).find("--worker_hosts is not given"),
            std::string::npos);
  set_flag("worker_hosts", "a:1");
  EXPECT_NE(error_of<InvalidArgumentError>([] { run(toy_options("", 1)); }).find("expected 0 to 0"), std::string::npos);
  reset_flags();
}

TEST(Options, NumbersOfHooksHaveARange) {
  const auto error = [](EvaluationOptions options) {
    return error_of<InvalidArgumentError>([&] { LogEvaluationMetricHook hook(options); });
  };
  Scope scope = Scope::new_root();
  EvaluationOptions good;
  good.monitor_info = {{"loss", Fetch("loss:0")}};
  good.batch_size = good.samples_in_train = good.samples_in_eval = 1;
  EvaluationOptions bad = good;
  bad.batch_size = int64_t{1} << 40;
  EXPECT_NE(error(bad).find("batch_size is 1099511627776, expected an integer from 1 to 1048576"), std::string::npos);
  bad = good;
  bad.evaluate_every_n_epochs = std::numeric_limits<int64_t>::max();
  EXPECT_NE(error(bad).find("expected an integer from 1 to 1000000"), std::string::npos);
  EarlyStoppingOptions stopping;
  stopping.monitor = "loss";
  stopping.min_delta = std::numeric_limits<double>::quiet_NaN();
  EXPECT_NE(error_of<InvalidArgumentError>([&] { EarlyStoppingHook hook(good, stopping); }).find("min_delta is nan"),
            std::string::npos);
}

}  // namespace
}  // namespace mox
