// Optimizers, wrappers and schedules inside mox::run.
#include <cmath>

#include "moxing/learning_rate_scheduler.h"
#include "optim/graph_run.h"
#include "run/toy_model.h"
#include "tensorflow/cc/ops/io_ops.h"

namespace mox {
namespace {

using namespace mox::testing;

std::vector<float> checkpoint_value(const std::string& prefix, const std::string& name) {
  Scope scope = Scope::new_root();
  const ops::RestoreV2 restored(scope, prefix, ops::Const(scope, {name}), ops::Const(scope, {std::string()}),
                                {tensorflow::DT_FLOAT});
  return GraphRun(scope).fetch_floats(restored.tensors[0]);
}

TEST(RunOptimizers, EachOneLearnsTheLine) {
  const std::map<std::string, double> rates = {{"adadelta", 300},  {"adagrad", 1},   {"adam", 0.1},
                                               {"adamw", 0.1},     {"ftrl", 1},      {"lamb", 0.05},
                                               {"momentum", 0.05}, {"rmsprop", 0.1}, {"sgd", 0.3}};
  for (const std::string& name : optimizer_names()) {
    SCOPED_TRACE(name);
    ASSERT_TRUE(rates.count(name));
    TempDir dir;
    LogCapture log;
    RunOptions options = toy_options(dir.path(), 150);
    options.optimizer_fn = get_optimizer_fn(name, rates.at(name), {.weight_decay = 0.f});
    const RunResult result = run(options);
    // The first loss is above 10.
    EXPECT_LT(result.metrics[0].second, 0.5);
  }
}

TEST(RunOptimizers, DgcLearnsWithAFewElementsAStep) {
  TempDir dir;
  LogCapture log;
  RunOptions options = toy_options(dir.path(), 300);
  options.optimizer_fn = get_optimizer_wrapper_fn(
      "dgc", get_optimizer_fn("sgd", 0.05),
      {.sparsity_strategy = {0.5f, 0.75f}, .num_samples = 160, .global_batch_size = 8, .momentum = 0.5f});
  EXPECT_LT(run(options).metrics[0].second, 0.05);
}

TEST(RunOptimizers, GroupsOfStepsAreLargerBatches) {
  for (bool sync_on_apply : {false, true}) {
    TempDir grouped_dir, large_dir;
    LogCapture log;
    const OptimizerFn lars =
        get_optimizer_wrapper_fn("lars", get_optimizer_fn("momentum", 5.0), {.ratio = 0.01f, .weight_decay = 0.001f});
    RunOptions grouped = toy_options(grouped_dir.path(), 20);
    grouped.optimizer_fn =
        get_optimizer_wrapper_fn("batch_gradients", lars, {.num_batches = 4, .sync_on_apply = sync_on_apply});
    RunOptions large = toy_options(large_dir.path(), 5);
    large.batch_size = 4 * grouped.batch_size;
    large.optimizer_fn = lars;
    const RunResult a = run(grouped), b = run(large);
    EXPECT_EQ(a.global_step, 20);
    const auto got = checkpoint_value(a.checkpoint, "w"), want = checkpoint_value(b.checkpoint, "w");
    ASSERT_EQ(got.size(), want.size());
    for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want[i], 1e-5) << i;
    EXPECT_GT(std::abs(got[0] - 0.1f), 0.01f) << "nothing was applied";
    EXPECT_EQ(checkpoint_value(a.checkpoint, "w/Momentum").size(), 4u);
  }
}

TEST(RunOptimizers, TheScheduleIsLoggedAndGoesOnAfterARestart) {
  TempDir dir;
  LogCapture log;
  // 16 samples in batches of 8: 2 steps an epoch.
  RunOptions options = toy_options(dir.path(), 4);
  options.optimizer_fn = get_optimizer_fn("sgd", learning_rate_scheduler::piecewise_lr("2:0.1,4:0", 16, 8));
  const RunResult first = run(options);
  options.max_number_of_steps = 8;
  const RunResult second = run(options);
  // From step 4 on the rate is 0.
  EXPECT_EQ(second.global_step, 8);
  EXPECT_EQ(checkpoint_value(first.checkpoint, "w"), checkpoint_value(second.checkpoint, "w"));
}

}  // namespace
}  // namespace mox
