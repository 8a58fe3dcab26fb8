// What stands around the steps, each alone: no session, results are made up.
#include <cmath>

#include "run/observers/checkpoint_observer.h"
#include "run/observers/fetch_plan.h"
#include "run/observers/loss_check.h"
#include "run/observers/metrics_observer.h"
#include "run/observers/output_observer.h"
#include "run/toy_model.h"

namespace mox {
namespace {

using namespace mox::testing;
using tensorflow::Tensor;

Tensor number(float value) { return Tensor(value); }

// Devices whose model logs "loss" and "n", with the outputs "y".
BuiltGraph graph_of(int devices) {
  BuiltGraph graph;
  for (int d = 0; d < devices; ++d) {
    const std::string tower = "tower_" + std::to_string(d);
    TowerInfo info;
    info.losses = {tower + "/loss:0"};
    info.log_info = {{"loss", tower + "/loss:0"}, {"n", tower + "/n:0"}};
    info.output_info = {{"y", tower + "/y:0"}};
    graph.towers.push_back(info);
  }
  return graph;
}

// One step of one observer, which gets `values` for what it asks for: how many tensors that was.
size_t step(StepObserver& observer, int64_t local, const std::vector<Tensor>& values, int towers = 1) {
  const StepNumber number{local, 100 + local};
  const int64_t wanted = observer.wants(number);
  StepRequest request;
  request.towers = towers;
  if (wanted != 0) observer.request(wanted, &request);
  bool stop = false;
  StepResult result{number, number.global + 1, towers, wanted, {}, nullptr, &stop};
  if (wanted != 0) result.fetched = {values.data(), values.size()};
  observer.check_step(result);
  observer.after_step(result);
  return request.fetches.size();
}

std::vector<int64_t> steps_where(FetchPlan& plan, bool FetchPlan::Step::*what) {
  std::vector<int64_t> found;
  for (int64_t i = 0; i < 7; ++i)
    if (plan.at(i).*what) found.push_back(i);
  return found;
}

TEST(FetchPlan, FollowsTheIntervals) {
  FetchPlan plan({.log_every = 3, .summary_every = 2, .can_summarize = true, .can_output = true});
  EXPECT_EQ(steps_where(plan, &FetchPlan::Step::line), (std::vector<int64_t>{0, 3, 6}));
  FetchPlan again({.log_every = 3, .summary_every = 2, .can_summarize = true, .can_output = true});
  EXPECT_EQ(steps_where(again, &FetchPlan::Step::summary), (std::vector<int64_t>{0, 2, 4, 6}));
  FetchPlan means({.log_every = 0, .log_always = true});
  EXPECT_TRUE(means.at(5).log);
  EXPECT_FALSE(means.at(5).line);
}

TEST(FetchPlan, AStrategyIsAskedOnceAStepAndCannotHaveWhatNobodyTakes) {
  int asked = 0;
  FetchPlan plan({.log_every = 2, .can_output = true, .strategy = [&](int64_t step, const StepFetches& planned) {
                    ++asked;
                    EXPECT_EQ(planned.log_info, step % 2 == 0);
                    return StepFetches{true, true, true};
                  }});
  EXPECT_FALSE(plan.plans_ahead());
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(plan.at(1).line);
  EXPECT_EQ(asked, 1);
  EXPECT_TRUE(plan.at(1).output);
  EXPECT_FALSE(plan.at(1).summary);  // no writer
}

TEST(Metrics, AreTheMeanOverTheDevicesThatTookPart) {
  const BuiltGraph graph = graph_of(2);
  FetchPlan plan({.log_every = 2, .log_always = true});
  MetricsObserver metrics(graph, plan, false);
  MeanMetrics means(metrics);
  EXPECT_EQ(step(metrics, 0, {number(1), number(10), number(3), number(20)}, 2), 4u);
  step(means, 0, {});
  EXPECT_EQ(*metrics.current(), (Metrics{{"loss", 2}, {"n", 15}}));
  EXPECT_EQ(step(metrics, 1, {number(8), number(0)}, 1), 2u);  // the last batch: one device has none
  step(means, 1, {});
  RunResult result;
  means.report({}, &result);
  EXPECT_EQ(result.metrics, (Metrics{{"loss", 4}, {"n", 10}}));  // of three batches, each once
}

TEST(Metrics, AreThereOnlyInStepsThatFetchThem) {
  const BuiltGraph graph = graph_of(1);
  FetchPlan plan({.log_every = 2});
  MetricsObserver metrics(graph, plan, true);
  step(metrics, 0, {number(1), number(2)});
  EXPECT_TRUE(metrics.current());
  EXPECT_EQ(step(metrics, 1, {}), 0u);
  EXPECT_FALSE(metrics.current());
  RunResult result;
  metrics.report({}, &result);
  EXPECT_EQ(result.metrics, (Metrics{{"loss", 1}, {"n", 2}}));
}

TEST(Outputs, ComeTogetherAndTheRestAtTheEnd) {
  const BuiltGraph graph = graph_of(2);
  FetchPlan plan({.can_output = true, .output_always = true});
  std::vector<std::vector<float>> delivered;
  const auto keep = [&](const std::vector<OutputDict>& outputs) {
    auto& values = delivered.emplace_back();
    for (const OutputDict& output : outputs) values.push_back(output.at("y").scalar<float>()());
  };
  OutputObserver outputs(graph, plan, keep, 2);
  for (int i = 0; i < 3; ++i) step(outputs, i, {number(i), number(i + 10)}, 2);
  EXPECT_EQ(delivered, (std::vector<std::vector<float>>{{0, 10, 1, 11}}));
  outputs.end({.how = Ending::kFailed});  // not after an error
  EXPECT_EQ(delivered.size(), 1u);
  RunResult result;
  outputs.report({}, &result);
  EXPECT_EQ(delivered.back(), (std::vector<float>{2, 12}));
}

TEST(LossCheck, NamesStepAndTensor) {
  const BuiltGraph graph = graph_of(2);
  LossCheck check(graph, nullptr);
  EXPECT_EQ(step(check, 3, {number(1), number(2)}, 2), 2u);
  const std::string error = error_of<RunError>([&] { step(check, 4, {number(1), number(std::nanf(""))}, 2); });
  EXPECT_NE(error.find("step 4 (global step 104), tensor tower_1/loss:0"), std::string::npos) << error;
}

TEST(SavedCheck, TellsOfAnInterruption) {
  SavedCheck check(nullptr);
  RunResult result;
  LogCapture log;
  check.report({.how = Ending::kFinished, .steps = 3, .global_step = 8}, &result);
  EXPECT_EQ(log.all(), "");
  check.report({.how = Ending::kInterrupted, .steps = 3, .global_step = 8}, &result);
  EXPECT_TRUE(log.contains("after step 3 (global step 8); there is no checkpoint yet")) << log.all();
  SavedCheck(nullptr, true).report({.how = Ending::kInterrupted, .steps = 3, .global_step = 8}, &result);
  EXPECT_TRUE(log.contains("after step 3 (global step 8); the first worker saves the checkpoints")) << log.all();
}

}  // namespace
}  // namespace mox
