// Curves of the schedules, point by point, as C++ and as graphs.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/json_text.h"
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

// Sets the global step of a graph and reads a rate.
class Curve {
 public:
  explicit Curve(const std::function<tf::Output(const Scope&)>& build) {
    Scope scope = Scope::new_root();
    rate_ = build(scope);
    next_ = ops::Placeholder(scope, tf::DT_INT64, ops::Placeholder::Shape({}));
    assign_ = ops::AssignVariableOp(scope, get_or_create_global_step(scope).handle, next_).operation;
    run_ = std::make_unique<GraphRun>(scope);
    scope_ = std::make_unique<Scope>(scope);
  }

  float at(int64_t step) {
    run_->feed(next_, tf::Tensor(step));
    run_->run({assign_});
    return run_->fetch_floats(rate_)[0];
  }

 private:
  std::unique_ptr<Scope> scope_;
  tf::Output rate_, next_;
  tf::Operation assign_;
  std::unique_ptr<GraphRun> run_;
};

TEST(LinearCosineDecay, EqualsTensorFlows) {
  std::ifstream file(MOX_OPTIM_TEST_DIR "/expected.json");
  const auto data = parse_json({std::istreambuf_iterator<char>(file), {}});
  ASSERT_FALSE(data["linear_cosine_decay"].empty());
  for (const auto& test_case : data["linear_cosine_decay"]) {
    const LinearCosineDecay options = {.learning_rate = test_case["learning_rate"],
                                       .decay_steps = test_case["decay_steps"],
                                       .num_periods = test_case["num_periods"],
                                       .alpha = test_case["alpha"],
                                       .beta = test_case["beta"]};
    Curve curve([&](const Scope& scope) { return linear_cosine_decay(scope, options); });
    for (size_t step = 0; step < test_case["rates"].size(); ++step) {
      const double want = test_case["rates"][step];
      EXPECT_NEAR(linear_cosine_decay_at(options, step), want, 2e-7) << step;
      EXPECT_NEAR(curve.at(step), want, 2e-7) << step;
    }
  }
}

struct Point {
  int64_t step;
  double rate;
};

TEST(PolynomialDecay, WarmsUpDecaysAndHolds) {
  const PolynomialDecay options = {
      .max_lr = 1.0, .min_lr = 0.2, .max_step = 100, .warmup = 10, .decay_end = 90, .power = 2};
  Curve curve([&](const Scope& scope) { return polynomial_decay(scope, options); });
  for (const Point& point : std::vector<Point>{{0, 0.2},
                                               {5, 0.6},
                                               {9, 0.92},
                                               {10, 1.0},
                                               {50, 0.2 + 0.8 * 0.25},
                                               {70, 0.2 + 0.8 * 0.0625},
                                               {90, 0.2},
                                               {95, 0.2},
                                               {1000, 0.2}}) {
    EXPECT_NEAR(polynomial_decay_at(options, point.step), point.rate, 1e-12) << point.step;
    EXPECT_NEAR(curve.at(point.step), point.rate, 1e-7) << point.step;
  }
}

TEST(PolynomialDecay, TakesPartsOfTheTraining) {
  const PolynomialDecay steps = {.max_lr = 2, .min_lr = 0.1, .max_step = 200, .warmup = 20, .decay_end = 160};
  const PolynomialDecay parts = {.max_lr = 2, .min_lr = 0.1, .max_step = 200, .warmup = 0.1, .decay_end = 0.8};
  for (int step = 0; step <= 210; ++step)
    EXPECT_DOUBLE_EQ(polynomial_decay_at(steps, step), polynomial_decay_at(parts, step)) << step;
  // By default: no warm-up, down to min_lr at max_step.
  const PolynomialDecay plain = {.max_lr = 1, .max_step = 10};
  EXPECT_DOUBLE_EQ(polynomial_decay_at(plain, 0), 1);
  EXPECT_DOUBLE_EQ(polynomial_decay_at(plain, 4), 0.6);
  EXPECT_DOUBLE_EQ(polynomial_decay_at(plain, 10), 0);
}

TEST(CosineDecay, WarmsUpThenHalfACosine) {
  const CosineDecay options = {.max_lr = 0.8, .min_lr = 0.1, .max_step = 110, .warmup = 10, .warmup_lr = 0.2};
  Curve curve([&](const Scope& scope) { return cosine_decay(scope, options); });
  for (const Point& point : std::vector<Point>{{0, 0.2},
                                               {5, 0.5},
                                               {10, 0.8},
                                               {35, 0.1 + 0.7 * (1 + std::sqrt(0.5)) / 2},
                                               {60, 0.45},
                                               {85, 0.1 + 0.7 * (1 - std::sqrt(0.5)) / 2},
                                               {110, 0.1},
                                               {500, 0.1}}) {
    EXPECT_NEAR(cosine_decay_at(options, point.step), point.rate, 1e-12) << point.step;
    EXPECT_NEAR(curve.at(point.step), point.rate, 1e-7) << point.step;
  }
}

TEST(Decays, FollowAnotherStepAndGoToOptimizers) {
  Scope scope = Scope::new_root();
  const tf::Output step = ops::Const(scope, 5);
  const tf::Output rate = polynomial_decay(scope, {.max_lr = 1, .max_step = 10, .global_step = step});
  auto optimizer = get_optimizer_fn("sgd", cosine_decay({.max_lr = 0.5, .max_step = 10}))(scope);
  GraphRun run(scope);
  EXPECT_FLOAT_EQ(run.fetch_floats(rate)[0], 0.5f);
  EXPECT_FLOAT_EQ(run.fetch_floats(optimizer->learning_rate())[0], 0.5f);
}

TEST(Decays, BadOptionsNameTheirField) {
  const auto expect_field = [](const std::function<void()>& make, const std::string& field) {
    try {
      make();
      ADD_FAILURE() << field << " was taken";
    } catch (const InvalidArgumentError& e) {
      EXPECT_NE(std::string(e.what()).find(": " + field + " is "), std::string::npos) << e.what();
    }
  };
  expect_field([] { linear_cosine_decay({.learning_rate = 0.1}); }, "decay_steps");
  expect_field([] { linear_cosine_decay({.learning_rate = -1, .decay_steps = 5}); }, "learning_rate");
  expect_field([] { polynomial_decay({.max_lr = 1}); }, "max_step");
  expect_field([] { polynomial_decay({.max_lr = 1, .max_step = 10, .warmup = 10}); }, "warmup");
  expect_field([] { polynomial_decay({.max_lr = 1, .max_step = 10, .warmup = 5, .decay_end = 5}); }, "decay_end");
  expect_field([] { polynomial_decay({.max_lr = 1, .max_step = 10, .power = 0}); }, "power");
  expect_field([] { cosine_decay({.max_lr = std::nan(""), .max_step = 10}); }, "max_lr");
}

}  // namespace
}  // namespace mox
