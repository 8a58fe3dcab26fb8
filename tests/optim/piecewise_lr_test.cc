#include <gtest/gtest.h>

#include <cmath>

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

constexpr char kExample[] = "5:0.1->0.4,10:0.4=>0.8,15:0.8,20:0.08";

struct Point {
  double epoch, rate;
};

const Point kCurve[] = {
    {0, 0.1},
    {1, 0.16},
    {2.5, 0.25},
    {4.9, 0.394},
    {5, 0.4},
    {7.5, 0.4 * std::sqrt(2.0)},
    {6, 0.4 * std::pow(2.0, 0.2)},
    {9, 0.4 * std::pow(2.0, 0.8)},
    {10, 0.8},
    {14.9, 0.8},
    {15, 0.08},
    {19.9, 0.08},
    {20, 0.08},
    {1000, 0.08},
};

TEST(PiecewiseLr, TheExampleOfTheManual) {
  const auto pieces = parse_lr_strategy(kExample);
  ASSERT_EQ(pieces.size(), 4u);
  for (const Point& point : kCurve) EXPECT_NEAR(piecewise_lr_at(pieces, point.epoch), point.rate, 1e-12) << point.epoch;
}

TEST(PiecewiseLr, TheGraphFollowsTheCurve) {
  Scope scope = Scope::new_root();
  // 95 samples in batches of 10: 10 steps an epoch.
  const tf::Output rate = piecewise_lr(scope, kExample, 95, 10);
  const Variable step = get_or_create_global_step(scope);
  const tf::Output next = ops::Placeholder(scope, tf::DT_INT64, ops::Placeholder::Shape({}));
  const tf::Operation assign = ops::AssignVariableOp(scope, step.handle, next).operation;
  GraphRun run(scope);
  const auto pieces = parse_lr_strategy(kExample);
  for (int64_t value : {0, 1, 25, 49, 50, 51, 75, 99, 100, 149, 150, 151, 199, 200, 201, 100000}) {
    run.feed(next, tf::Tensor(value));
    run.run({assign});
    EXPECT_NEAR(run.fetch_floats(rate)[0], piecewise_lr_at(pieces, value / 10.0), 1e-7) << "step " << value;
  }
}

TEST(PiecewiseLr, GoesToAnOptimizerWithoutAGraph) {
  Scope scope = Scope::new_root();
  auto optimizer = get_optimizer_fn("sgd", piecewise_lr("10:0.01,20:0.001", 100, 10))(scope);
  GraphRun run(scope);
  EXPECT_FLOAT_EQ(run.fetch_floats(optimizer->learning_rate())[0], 0.01f);
}

TEST(PiecewiseLr, SpacesAndExponentsAreFine) {
  const auto pieces = parse_lr_strategy(" 0.5 : 1e-3 -> 2E-3 , 1.5 : .5 => 5 ");
  ASSERT_EQ(pieces.size(), 2u);
  EXPECT_DOUBLE_EQ(pieces[0].end_epoch, 0.5);
  EXPECT_DOUBLE_EQ(pieces[0].end_value, 2e-3);
  EXPECT_EQ(pieces[1].kind, LrPiece::kExponential);
}

struct BadStrategy {
  const char* text;
  size_t character;  // that the caret points at, from 0
};

TEST(PiecewiseLr, AnErrorPointsAtItsCharacter) {
  const BadStrategy cases[] = {
      {"", 0},        {"5", 1},        {"x:0.1", 0},        {"5:", 2},           {"5:0.1-0.4", 5},
      {"5:0.1->", 7}, {"5:0.1,", 6},   {"5:0.1,5:0.2", 6},  {"5:0.1,4:0.2", 6},  {"0:0.1", 0},
      {"5:-0.1", 2},  {"5:0=>0.1", 2}, {"5:0.1=>0", 7},     {"5:0.1;10:0.2", 5}, {"5:0.1.2", 5},
      {"5:nan", 2},   {"5:1e999", 2},  {"5:0.1 10:0.2", 6},
  };
  for (const BadStrategy& bad : cases) {
    try {
      parse_lr_strategy(bad.text);
      ADD_FAILURE() << bad.text << " was taken";
    } catch (const InvalidArgumentError& e) {
      const std::string marked = std::string("\n  ") + bad.text + "\n  " + std::string(bad.character, ' ') + "^\n";
      EXPECT_NE(std::string(e.what()).find(marked), std::string::npos) << bad.text << ":\n" << e.what();
    }
  }
}

TEST(PiecewiseLr, NeedsSamplesAndBatchSize) {
  EXPECT_THROW(piecewise_lr(kExample, 0, 10), InvalidArgumentError);
  EXPECT_THROW(piecewise_lr(kExample, 10, 0), InvalidArgumentError);
  EXPECT_EQ(steps_per_epoch(95, 10), 10);
  EXPECT_EQ(steps_per_epoch(100, 10), 10);
  EXPECT_EQ(steps_per_epoch(1, 10), 1);
}

}  // namespace
}  // namespace mox
