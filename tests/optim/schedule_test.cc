// Schedules by their names, and the cosine of strategies.
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "moxing/error.h"
#include "moxing/learning_rate_scheduler.h"
#include "optim/graph_run.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace mox {
namespace {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;
using namespace learning_rate_scheduler;
using testing::GraphRun;

double at(const std::string& strategy, double epoch) { return piecewise_lr_at(parse_lr_strategy(strategy), epoch); }

TEST(Schedule, IsAStrategy) {
  EXPECT_EQ(schedule_strategy({.learning_rate = 0.1}), "1:0.1");
  EXPECT_EQ(schedule_strategy({.learning_rate = 0.1, .warmup_epochs = 2}), "2:0->0.1,3:0.1");
  EXPECT_EQ(schedule_strategy({.schedule = "cosine", .learning_rate = 0.1, .num_epochs = 90, .warmup_epochs = 5}),
            "5:0->0.1,90:0.1~>0");
  EXPECT_EQ(
      schedule_strategy({.schedule = "linear", .learning_rate = 0.1, .num_epochs = 2.5, .end_learning_rate = 1e-5}),
      "2.5:0.1->1e-05");
  EXPECT_EQ(schedule_strategy({.schedule = "exponential", .learning_rate = 0.5, .num_epochs = 4}), "4:0.5=>0.005");
  EXPECT_EQ(schedule_strategy({.schedule = "piecewise",
                               .learning_rate = 0.5,
                               .num_epochs = 9,
                               .warmup_epochs = 1,
                               .decay_epochs = {3, 6},
                               .decay_factor = 0.5}),
            "1:0->0.5,3:0.5,6:0.25,9:0.125");
  const std::string thirds = schedule_strategy({.schedule = "piecewise", .learning_rate = 1, .num_epochs = 90});
  EXPECT_NEAR(at(thirds, 29.9), 1, 1e-12);
  EXPECT_NEAR(at(thirds, 30.1), 0.1, 1e-12);
  EXPECT_NEAR(at(thirds, 60.1), 0.01, 1e-12);
  EXPECT_NEAR(at(thirds, 80.1), 0.001, 1e-12);
}

TEST(Schedule, CosineFollowsItsFormula) {
  const std::string strategy = schedule_strategy(
      {.schedule = "cosine", .learning_rate = 0.4, .num_epochs = 10, .warmup_epochs = 2, .end_learning_rate = 0.1});
  Scope scope = Scope::new_root();
  const tf::Output rate = piecewise_lr(scope, strategy, 100, 10);  // 10 steps an epoch
  const Variable step = get_or_create_global_step(scope);
  const tf::Output next = ops::Placeholder(scope, tf::DT_INT64, ops::Placeholder::Shape({}));
  const tf::Operation assign = ops::AssignVariableOp(scope, step.handle, next).operation;
  GraphRun run(scope);
  for (const int64_t value : {0, 1, 10, 19, 20, 21, 40, 60, 99, 100, 5000}) {
    const double epoch = static_cast<double>(value) / 10;
    const double t = std::min(1.0, (epoch - 2) / 8);
    const double wanted = epoch < 2 ? 0.4 * epoch / 2 : 0.1 + 0.3 * (1 + std::cos(std::numbers::pi * t)) / 2;
    EXPECT_NEAR(at(strategy, epoch), wanted, 1e-12) << epoch;
    run.feed(next, tf::Tensor(value));
    run.run({assign});
    EXPECT_NEAR(run.fetch_floats(rate)[0], wanted, 1e-7) << "step " << value;
  }
}

TEST(Schedule, WhatCannotBeOneIsToldWithItsField) {
  struct {
    ScheduleOptions options;
    const char* told;
  } const cases[] = {
      {{.schedule = "sine", .learning_rate = 1}, "there is no schedule 'sine'; there are: constant, cosine"},
      {{.schedule = "cosine", .learning_rate = 0, .num_epochs = 1}, "learning_rate is 0"},
      {{.schedule = "cosine", .learning_rate = 1}, "needs to know the end of the training"},
      {{.schedule = "linear", .learning_rate = 1, .num_epochs = 2, .warmup_epochs = 2}, "warmup_epochs is 2"},
      {{.schedule = "linear", .learning_rate = 1, .num_epochs = 2, .end_learning_rate = 3}, "end_learning_rate is 3"},
      {{.schedule = "exponential", .learning_rate = 1, .num_epochs = 2, .end_learning_rate = 0}, "never gets to 0"},
      {{.schedule = "piecewise", .learning_rate = 1, .num_epochs = 9, .decay_epochs = {6, 3}}, "decay_epochs is 3"},
      {{.schedule = "piecewise", .learning_rate = 1, .num_epochs = 9, .decay_epochs = {9}}, "decay_epochs is 9"},
      {{.schedule = "piecewise", .learning_rate = 1, .num_epochs = 9, .decay_factor = 1}, "decay_factor is 1"},
      {{.learning_rate = 1, .num_epochs = std::nan("")}, "num_epochs is nan"},
  };
  for (const auto& [options, told] : cases) try {
      const std::string strategy = schedule_strategy(options);
      ADD_FAILURE() << told << ": " << strategy;
    } catch (const InvalidArgumentError& e) {
      EXPECT_NE(std::string(e.what()).find(told), std::string::npos) << e.what();
    }
}

TEST(Optimizers, TellWhatTheyRead) {
  EXPECT_EQ(optimizer_option_names("momentum"), (std::vector<std::string>{"momentum", "use_nesterov"}));
  EXPECT_TRUE(optimizer_option_names("sgd").empty());
  EXPECT_THROW(optimizer_option_names("sgdd"), InvalidArgumentError);
}

}  // namespace
}  // namespace mox
