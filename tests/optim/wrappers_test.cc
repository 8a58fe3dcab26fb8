// batch_gradients, lars and dgc against their formulas, and nested as the manual nests them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "moxing/error.h"
#include "moxing/optimizer.h"
#include "optim/graph_run.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace mox {
namespace {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;
using testing::GraphRun;
using Values = std::vector<float>;

constexpr int kSize = 12;

Values random_values(int seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  Values values(kSize);
  for (float& value : values) value = normal(engine);
  return values;
}

tf::Tensor as_tensor(const Values& values, const tf::TensorShape& shape) {
  tf::Tensor tensor(tf::DT_FLOAT, shape);
  std::copy(values.begin(), values.end(), tensor.flat<float>().data());
  return tensor;
}

// One variable whose gradient is fed.
struct Training {
  Scope scope = Scope::new_root();
  Variable variable;
  tf::Output gradient;
  std::vector<tf::Operation> updates;
  std::unique_ptr<GraphRun> session;

  Training(const OptimizerFn& fn, const Values& initial, const tf::TensorShape& shape = {3, 4}, bool prepare = false) {
    const tf::Tensor start = as_tensor(initial, shape);
    variable = scope.get_variable_object(
        "w", shape, {.initializer = [start](const Scope& s, const tf::TensorShape&, tf::DataType) -> tf::Output {
          return ops::Const(s, tf::Input::Initializer(start));
        }});
    gradient = ops::Placeholder(scope, tf::DT_FLOAT, ops::Placeholder::Shape(shape));
    auto optimizer = fn(scope);
    std::vector<GradientAndVariable> pairs = {{gradient, variable}};
    if (prepare) pairs = optimizer->prepare_gradients(scope, pairs);
    updates = optimizer->apply_gradients(scope, pairs);
    // As the engine does: the global step goes on after the updates.
    const Variable step = get_or_create_global_step(scope);
    global_step = step.value;
    updates.push_back(
        ops::AssignAddVariableOp(scope.WithControlDependencies(updates), step.handle, ops::Const<int64_t>(scope, 1))
            .operation);
    session = std::make_unique<GraphRun>(scope);
  }

  Values step(const Values& value) {
    session->feed(gradient, as_tensor(value, variable.shape));
    session->run(updates);
    return session->fetch_floats(variable.value);
  }

  int64_t steps() { return session->fetch({global_step})[0].scalar<int64_t>()(); }

  tf::Output global_step;
};

void expect_near(const Values& got, const Values& want, float tolerance = 1e-6f) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want[i], tolerance) << i;
}

Values mean(const std::vector<Values>& rows) {
  Values result(kSize, 0);
  for (const Values& row : rows)
    for (int i = 0; i < kSize; ++i) result[i] += row[i] / rows.size();
  return result;
}

double norm(const Values& values) {
  double sum = 0;
  for (float value : values) sum += double(value) * value;
  return std::sqrt(sum);
}

class BatchGradients : public ::testing::TestWithParam<std::tuple<std::string, bool>> {};

TEST_P(BatchGradients, ThreeStepsAreOneStepOfTheirMean) {
  const auto [name, before_join] = GetParam();
  const Values initial = random_values(1);
  const OptimizerFn inner = get_optimizer_fn(name, 0.1);
  Training plain(inner, initial);
  Training grouped(get_optimizer_wrapper_fn("batch_gradients", inner, {.num_batches = 3, .sync_on_apply = before_join}),
                   initial, {3, 4}, before_join);
  Values before = initial;
  for (int group = 0; group < 4; ++group) {
    std::vector<Values> gradients;
    for (int i = 0; i < 3; ++i) gradients.push_back(random_values(10 + 3 * group + i));
    // Nothing moves, the slots neither, until the group is complete.
    expect_near(grouped.step(gradients[0]), before, 0);
    expect_near(grouped.step(gradients[1]), before, 0);
    const Values after = grouped.step(gradients[2]);
    expect_near(after, plain.step(mean(gradients)));
    EXPECT_NE(after, before);
    before = after;
  }
  EXPECT_EQ(grouped.steps(), 12);
}

INSTANTIATE_TEST_SUITE_P(Inner, BatchGradients,
                         ::testing::Combine(::testing::Values("sgd", "momentum", "adam", "adamw", "lamb"),
                                            ::testing::Bool()));

TEST(Lars, FollowsItsFormula) {
  const Values initial = random_values(2);
  const float ratio = 0.02f, decay = 0.1f;
  Training training(get_optimizer_wrapper_fn("lars", get_optimizer_fn("momentum", 0.5, {.momentum = 0.9f}),
                                             {.ratio = ratio, .weight_decay = decay}),
                    initial);
  Values weights = initial, velocity(kSize, 0);
  for (int step = 0; step < 5; ++step) {
    const Values gradient = random_values(20 + step);
    const double factor = ratio * norm(weights) / (norm(gradient) + decay * norm(weights));
    for (int i = 0; i < kSize; ++i) {
      velocity[i] = 0.9f * velocity[i] + factor * (gradient[i] + decay * weights[i]);
      weights[i] -= 0.5f * velocity[i];
    }
    expect_near(training.step(gradient), weights);
  }
}

TEST(Lars, LeavesBiasesAndZeroVariablesAlone) {
  const Values gradient = random_values(3), initial = random_values(4);
  Values moved(kSize), started(kSize);
  for (int i = 0; i < kSize; ++i) {
    moved[i] = initial[i] - 0.5f * gradient[i];
    started[i] = -0.5f * gradient[i];
  }
  const OptimizerFn lars = get_optimizer_wrapper_fn("lars", get_optimizer_fn("sgd", 0.5));
  expect_near(Training(lars, initial, {kSize}).step(gradient), moved);
  expect_near(Training(lars, Values(kSize, 0)).step(gradient), started);
  const OptimizerFn all =
      get_optimizer_wrapper_fn("lars", get_optimizer_fn("sgd", 0.5), {.skip_one_dimensional = false});
  const Values scaled = Training(all, initial, {kSize}).step(gradient);
  EXPECT_NEAR(norm(scaled), norm(initial), 0.01 * norm(initial));
  EXPECT_NE(scaled, initial);
}

// What one worker does, written as loops.
struct DgcReference {
  float momentum;
  bool nesterov, masking;
  Values velocity = Values(kSize, 0), unsent = Values(kSize, 0);

  Values send(const Values& gradient, int count) {
    for (int i = 0; i < kSize; ++i) {
      velocity[i] = nesterov ? momentum * (velocity[i] + gradient[i]) : momentum * velocity[i] + gradient[i];
      unsent[i] += velocity[i] + (nesterov ? gradient[i] : 0);
    }
    std::vector<int> order(kSize);
    for (int i = 0; i < kSize; ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](int a, int b) { return std::abs(unsent[a]) > std::abs(unsent[b]); });
    Values sent(kSize, 0);
    for (int n = 0; n < count; ++n) {
      const int i = order[n];
      std::swap(sent[i], unsent[i]);
      if (masking) velocity[i] = 0;
    }
    return sent;
  }
};

class Dgc : public ::testing::TestWithParam<std::tuple<bool, bool, bool>> {};

TEST_P(Dgc, SendsTheLargestAndKeepsTheRest) {
  const auto [nesterov, masking, before_join] = GetParam();
  const Values initial = random_values(5);
  // 12 elements: 6 in the first epoch, 3 in the second, then 1; 20 samples in batches of 10 are 2 steps an epoch.
  Training training(get_optimizer_wrapper_fn("dgc", get_optimizer_fn("sgd", 0.1),
                                             {.sparsity_strategy = {0.5f, 0.75f, 0.999f},
                                              .num_samples = 20,
                                              .global_batch_size = 10,
                                              .momentum = 0.8f,
                                              .use_nesterov = nesterov,
                                              .momentum_factor_masking = masking}),
                    initial, {3, 4}, before_join);
  DgcReference reference{0.8f, nesterov, masking};
  Values weights = initial;
  const int counts[] = {6, 6, 3, 3, 1, 1, 1, 1};
  for (int step = 0; step < 8; ++step) {
    const Values gradient = random_values(50 + step);
    const Values sent = reference.send(gradient, counts[step]);
    EXPECT_EQ(std::count(sent.begin(), sent.end(), 0.f), kSize - counts[step]);
    for (int i = 0; i < kSize; ++i) weights[i] -= 0.1f * sent[i];
    expect_near(training.step(gradient), weights);
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, Dgc, ::testing::Combine(::testing::Bool(), ::testing::Bool(), ::testing::Bool()));

TEST(DgcLimit, SendingEverythingIsMomentum) {
  const Values initial = random_values(6);
  Training dgc(get_optimizer_wrapper_fn("dgc", get_optimizer_fn("sgd", 0.1),
                                        {.sparsity_strategy = {0.f}, .momentum_factor_masking = false}),
               initial);
  Training momentum(get_optimizer_fn("momentum", 0.1, {.momentum = 0.9f}), initial);
  for (int step = 0; step < 5; ++step)
    expect_near(dgc.step(random_values(70 + step)), momentum.step(random_values(70 + step)));
}

TEST(Wrappers, NestAsTheManualDoes) {
  const Values initial = random_values(7);
  const OptimizerFn momentum = get_optimizer_fn("momentum", 0.1, {.momentum = 0.9f});
  const OptimizerFn lars = get_optimizer_wrapper_fn("lars", momentum, {.ratio = 0.001f, .weight_decay = 0.0001f});
  for (bool sync_on_apply : {false, true}) {
    Training plain(lars, initial);
    Training nested(
        get_optimizer_wrapper_fn("batch_gradients", lars, {.num_batches = 2, .sync_on_apply = sync_on_apply}), initial,
        {3, 4}, sync_on_apply);
    for (int step = 0; step < 3; ++step) {
      const Values a = random_values(80 + step), b = random_values(90 + step);
      nested.step(a);
      expect_near(nested.step(b), plain.step(mean({a, b})));
    }
  }
  // dgc inside: its state moves once a group.
  const OptimizerFn dgc = get_optimizer_wrapper_fn("dgc", get_optimizer_fn("sgd", 0.1), {.sparsity_strategy = {0.5f}});
  Training plain(dgc, initial);
  Training nested(get_optimizer_wrapper_fn("batch_gradients", dgc, {.num_batches = 2}), initial);
  for (int step = 0; step < 4; ++step) {
    const Values a = random_values(80 + step), b = random_values(90 + step);
    nested.step(a);
    expect_near(nested.step(b), plain.step(mean({a, b})));
  }
}

TEST(Wrappers, BatchGradientsAroundDgcBeforeTheJoin) {
  const Values initial = random_values(8);
  const OptimizerFn dgc = get_optimizer_wrapper_fn("dgc", get_optimizer_fn("sgd", 0.1), {.sparsity_strategy = {0.5f}});
  Training plain(dgc, initial);
  Training nested(get_optimizer_wrapper_fn("batch_gradients", dgc, {.num_batches = 2, .sync_on_apply = true}), initial,
                  {3, 4}, true);
  for (int step = 0; step < 4; ++step) {
    const Values a = random_values(80 + step), b = random_values(90 + step);
    nested.step(a);
    expect_near(nested.step(b), plain.step(mean({a, b})));
  }
}

TEST(Wrappers, TheLearningRateIsTheInnerOnes) {
  Scope scope = Scope::new_root();
  auto optimizer =
      get_optimizer_wrapper_fn("batch_gradients", get_optimizer_fn("sgd", 0.25), {.num_batches = 2})(scope);
  EXPECT_EQ(GraphRun(scope).fetch_floats(optimizer->learning_rate()), Values{0.25f});
}

TEST(Wrappers, BadArgumentsAreErrors) {
  const OptimizerFn sgd = get_optimizer_fn("sgd", 0.1);
  try {
    get_optimizer_wrapper_fn("larz", sgd);
    FAIL();
  } catch (const InvalidArgumentError& e) {
    EXPECT_NE(std::string(e.what()).find("batch_gradients, dgc, lars"), std::string::npos) << e.what();
  }
  EXPECT_THROW(get_optimizer_wrapper_fn("batch_gradients", sgd), InvalidArgumentError);
  EXPECT_THROW(get_optimizer_wrapper_fn("lars", OptimizerFn()), InvalidArgumentError);
  EXPECT_THROW(get_optimizer_wrapper_fn("lars", sgd, {.ratio = 0}), InvalidArgumentError);
  EXPECT_THROW(get_optimizer_wrapper_fn("dgc", sgd, {.sparsity_strategy = {}}), InvalidArgumentError);
  EXPECT_THROW(get_optimizer_wrapper_fn("dgc", sgd, {.sparsity_strategy = {1.f}}), InvalidArgumentError);
  EXPECT_THROW(get_optimizer_wrapper_fn("dgc", sgd, {.num_samples = 10}), InvalidArgumentError);
}

}  // namespace
}  // namespace mox
