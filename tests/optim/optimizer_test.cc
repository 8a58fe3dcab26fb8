// The optimizers against TensorFlow's own: expected.json is made by make_expected.py.
#include "moxing/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "moxing/error.h"
#include "moxing/initializers.h"
#include "optim/graph_run.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace mox {
namespace {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;
using nlohmann::json;
using testing::GraphRun;

tf::TensorShape shape_of(const json& dims) {
  tf::TensorShape shape;
  for (const auto& dim : dims) shape.AddDim(dim.get<int64_t>());
  return shape;
}

tf::Tensor tensor_of(const json& values, const tf::TensorShape& shape) {
  tf::Tensor tensor(tf::DT_FLOAT, shape);
  for (int64_t i = 0; i < shape.num_elements(); ++i) tensor.flat<float>()(i) = values[i].get<float>();
  return tensor;
}

Initializer values_initializer(const tf::Tensor& tensor) {
  return [tensor](const Scope& scope, const tf::TensorShape&, tf::DataType) -> tf::Output {
    return ops::Const(scope, tf::Input::Initializer(tensor));
  };
}

// Takes `key` out of `values`; what is left at the end is a slip in make_expected.py.
template <typename T>
void take(json* values, const char* key, T* field) {
  if (!values->contains(key)) return;
  *field = (*values)[key].get<T>();
  values->erase(key);
}

void take(json* values, const char* key, std::optional<float>* field) {
  float value = 0;
  if (!values->contains(key)) return;
  take(values, key, &value);
  *field = value;
}

OptimizerOptions options_of(json values) {
  OptimizerOptions options;
  take(&values, "momentum", &options.momentum);
  take(&values, "epsilon", &options.epsilon);
  take(&values, "weight_decay", &options.weight_decay);
  take(&values, "use_nesterov", &options.use_nesterov);
  take(&values, "beta1", &options.beta1);
  take(&values, "beta2", &options.beta2);
  take(&values, "rho", &options.rho);
  take(&values, "decay", &options.decay);
  take(&values, "centered", &options.centered);
  take(&values, "initial_accumulator_value", &options.initial_accumulator_value);
  take(&values, "learning_rate_power", &options.learning_rate_power);
  take(&values, "l1_regularization_strength", &options.l1_regularization_strength);
  take(&values, "l2_regularization_strength", &options.l2_regularization_strength);
  take(&values, "l2_shrinkage_regularization_strength", &options.l2_shrinkage_regularization_strength);
  take(&values, "exclude_from_weight_decay", &options.exclude_from_weight_decay);
  if (!values.empty()) throw std::runtime_error("unknown options in expected.json: " + json_text(values));
  return options;
}

const json& expected() {
  static std::ifstream file(MOX_OPTIM_TEST_DIR "/expected.json");
  static const json data = parse_json({std::istreambuf_iterator<char>(file), {}});
  return data;
}

// Relative where values are large: floats cannot hold 1e-6 absolute there.
void expect_near(const std::vector<float>& got, const json& want, const std::string& what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  for (size_t i = 0; i < got.size(); ++i) {
    const double value = want[i].get<double>();
    EXPECT_NEAR(got[i], value, 1e-6 * std::max(1.0, std::abs(value))) << what << "[" << i << "]";
  }
}

// The two variables of the recorded runs, and placeholders for their gradients.
struct Problem {
  Scope scope = Scope::new_root();
  std::vector<GradientAndVariable> pairs;

  Problem() {
    const json& problem = expected()["problem"];
    for (const auto& [name, values] : problem["initial"].items()) {
      const tf::TensorShape shape = shape_of(problem["shapes"][name]);
      const auto initializer = values_initializer(tensor_of(values, shape));
      const Variable variable = scope.get_variable_object(name, shape, {.initializer = initializer});
      pairs.push_back({ops::Placeholder(scope, tf::DT_FLOAT, ops::Placeholder::Shape(shape)), variable});
    }
  }

  void feed(GraphRun* run, int step) const {
    for (const auto& [gradient, variable] : pairs)
      run->feed(gradient, tensor_of(expected()["problem"]["gradients"][variable.name][step], variable.shape));
  }
};

TEST(Optimizers, TwentyStepsEqualTensorFlows) {
  for (const json& test_case : expected()["cases"]) {
    const std::string title = test_case["optimizer"].get<std::string>() + " " + json_text(test_case["options"]);
    SCOPED_TRACE(title);
    Problem problem;
    auto optimizer = get_optimizer_fn(test_case["optimizer"], test_case["learning_rate"].get<float>(),
                                      options_of(test_case["options"]))(problem.scope);
    const auto updates = optimizer->apply_gradients(problem.scope, problem.pairs);
    std::map<std::string, tf::Output> slots;
    for (const Variable& variable : global_variables(problem.scope))
      if (!variable.trainable)
        slots[variable.name] = ops::ReadVariableOp(problem.scope, variable.handle, variable.dtype);
    GraphRun run(problem.scope);
    for (size_t step = 0; step < test_case["steps"].size(); ++step) {
      problem.feed(&run, step);
      run.run(updates);
      for (const auto& [gradient, variable] : problem.pairs)
        expect_near(run.fetch_floats(variable.value), test_case["steps"][step][variable.name],
                    title + " step " + std::to_string(step) + " " + variable.name);
    }
    // The slots have tf.train's names and values, so that its checkpoints are ours.
    if (test_case["slots"].is_null()) continue;
    EXPECT_EQ(slots.size(), test_case["slots"].size());
    for (const auto& [name, values] : test_case["slots"].items()) {
      ASSERT_TRUE(slots.count(name)) << name;
      expect_near(run.fetch_floats(slots[name]), values, title + " slot " + name);
    }
  }
}

// Keras's Lamb decays outside of the ratio; the paper, and we, inside.
TEST(Optimizers, LambDecaysWeightsAsItsPaperSays) {
  Problem problem;
  const double lr = 0.1, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-7, decay = 0.3;
  auto optimizer =
      get_optimizer_fn("lamb", lr, {.weight_decay = 0.3f, .exclude_from_weight_decay = {"biases"}})(problem.scope);
  const auto updates = optimizer->apply_gradients(problem.scope, problem.pairs);
  GraphRun run(problem.scope);
  std::map<std::string, std::vector<double>> w, m, v;
  for (const auto& [gradient, variable] : problem.pairs) {
    w[variable.name] = expected()["problem"]["initial"][variable.name].get<std::vector<double>>();
    m[variable.name] = v[variable.name] = std::vector<double>(w[variable.name].size(), 0);
  }
  for (int step = 0; step < 5; ++step) {
    problem.feed(&run, step);
    run.run(updates);
    for (const auto& [placeholder, variable] : problem.pairs) {
      const std::string& name = variable.name;
      const auto gradient = expected()["problem"]["gradients"][name][step].get<std::vector<double>>();
      std::vector<double> direction(gradient.size());
      double w_square = 0, d_square = 0;
      for (size_t i = 0; i < gradient.size(); ++i) {
        m[name][i] = beta1 * m[name][i] + (1 - beta1) * gradient[i];
        v[name][i] = beta2 * v[name][i] + (1 - beta2) * gradient[i] * gradient[i];
        direction[i] = m[name][i] / (1 - std::pow(beta1, step + 1)) /
                       (std::sqrt(v[name][i] / (1 - std::pow(beta2, step + 1))) + epsilon);
        if (name == "layer/weights") direction[i] += decay * w[name][i];
        w_square += w[name][i] * w[name][i];
        d_square += direction[i] * direction[i];
      }
      for (size_t i = 0; i < gradient.size(); ++i) w[name][i] -= lr * std::sqrt(w_square / d_square) * direction[i];
      const auto got = run.fetch_floats(variable.value);
      for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], w[name][i], 5e-6) << name << " step " << step;
    }
  }
}

TEST(Optimizers, BadOptionsAreErrors) {
  Scope scope = Scope::new_root();
  EXPECT_THROW(get_optimizer_fn("ftrl", 0.1, {.learning_rate_power = 0.5f})(scope), InvalidArgumentError);
  EXPECT_THROW(get_optimizer_fn("adagrad", 0.1, {.initial_accumulator_value = 0})(scope), InvalidArgumentError);
  EXPECT_THROW(get_optimizer_fn("adamw", 0.1, {.weight_decay = -1.f})(scope), InvalidArgumentError);
  EXPECT_THROW(get_optimizer_fn("adamw", 0.1, {.exclude_from_weight_decay = {"("}})(scope), InvalidArgumentError);
}

TEST(Optimizers, AnUnknownNameListsTheKnownOnes) {
  try {
    get_optimizer_fn("adm", 0.1);
    FAIL();
  } catch (const InvalidArgumentError& e) {
    EXPECT_NE(std::string(e.what()).find("'adm'"), std::string::npos) << e.what();
    for (const std::string& name : optimizer_names())
      EXPECT_NE(std::string(e.what()).find(name), std::string::npos) << e.what();
  }
}

TEST(Optimizers, NoGradientIsAnErrorThatTellsWhy) {
  Scope scope = Scope::new_root();
  auto optimizer = get_optimizer_fn("sgd", 0.1)(scope);
  EXPECT_THROW(optimizer->apply_gradients(scope, {}), InvalidArgumentError);
}

TEST(Optimizers, ASecondOptimizerHasItsOwnSlots) {
  Problem problem;
  get_optimizer_fn("adam", 0.1)(problem.scope)->apply_gradients(problem.scope, {problem.pairs[0]});
  get_optimizer_fn("adam", 0.1)(problem.scope)->apply_gradients(problem.scope, {problem.pairs[1]});
  std::vector<std::string> powers;
  for (const Variable& variable : global_variables(problem.scope))
    if (variable.name.find("power") != std::string::npos) powers.push_back(variable.name);
  EXPECT_EQ(powers, (std::vector<std::string>{"beta1_power", "beta2_power", "beta1_power_1", "beta2_power_1"}));
}

TEST(Optimizers, TwoLossesOfOneAdamAreOneStep) {
  Problem one, two;
  const auto together = get_optimizer_fn("adam", 0.1)(one.scope)->apply_gradients(one.scope, one.pairs);
  auto optimizer = get_optimizer_fn("adam", 0.1)(two.scope);
  auto apart = optimizer->apply_gradients(two.scope, {two.pairs[0]});
  for (const auto& update : optimizer->apply_gradients(two.scope, {two.pairs[1]})) apart.push_back(update);
  GraphRun run_one(one.scope), run_two(two.scope);
  for (int step = 0; step < 5; ++step) {
    one.feed(&run_one, step);
    two.feed(&run_two, step);
    run_one.run(together);
    run_two.run(apart);
  }
  for (int i : {0, 1})
    EXPECT_EQ(run_one.fetch_floats(one.pairs[i].variable.value), run_two.fetch_floats(two.pairs[i].variable.value));
}

TEST(Optimizers, UpdatesAndSlotsLiveWithTheirVariable) {
  Scope scope = Scope::new_root();
  const std::string device = "/job:localhost/replica:0/task:0/device:CPU:0";
  const Scope placed = scope.with(scope.WithDevice(device));
  Variable variable = scope.get_variable_object("w", {2});
  variable.handle.node()->set_requested_device(device);
  auto updates =
      get_optimizer_fn("momentum", 0.1)(scope)->apply_gradients(scope, {{ops::Const(placed, {1.f, 2.f}), variable}});
  EXPECT_EQ(updates[0].node()->requested_device(), device);
  EXPECT_EQ(global_variables(scope).back().name, "w/Momentum");
  EXPECT_EQ(global_variables(scope).back().handle.node()->requested_device(), device);
}

TEST(Optimizers, SixteenBitVariablesAndGradients) {
  Scope scope = Scope::new_root();
  for (tf::DataType dtype : {tf::DT_HALF, tf::DT_BFLOAT16, tf::DT_DOUBLE}) {
    const Variable variable = scope.get_variable_object(std::string("w_") + tf::DataTypeString(dtype), {2},
                                                        {.initializer = ones_initializer(), .dtype = dtype});
    // A float gradient is cast to its variable's type.
    auto updates =
        get_optimizer_fn("momentum", 0.5)(scope)->apply_gradients(scope, {{ops::Const(scope, {1.f, -2.f}), variable}});
    const tf::Output value = ops::Cast(scope, variable.value, tf::DT_FLOAT);
    GraphRun run(scope);
    run.run(updates);
    EXPECT_EQ(run.fetch_floats(value), (std::vector<float>{0.5f, 2.f}));
  }
}

TEST(LearningRate, TakesNumbersTensorsAndSchedules) {
  Scope scope = Scope::new_root();
  const tf::Output tensor = ops::Multiply(scope, ops::Const(scope, 0.5f), 0.5f);
  const LearningRate::Schedule schedule = [](const Scope& s) -> tf::Output { return ops::Const(s, 0.25); };
  const auto lambda = [](const Scope& s) -> tf::Output { return ops::Const(s, 0.25f); };
  const std::vector<LearningRate> rates = {0.25, 0.25f, tensor, schedule, lambda};
  std::vector<tf::Output> built;
  for (const LearningRate& rate : rates) built.push_back(get_optimizer_fn("sgd", rate)(scope)->learning_rate());
  GraphRun run(scope);
  for (const tf::Output& rate : built) EXPECT_EQ(run.fetch_floats(rate), std::vector<float>{0.25f});
}

TEST(LearningRate, RefusesWhatIsNone) {
  Scope scope = Scope::new_root();
  EXPECT_THROW(LearningRate(-0.1), InvalidArgumentError);
  EXPECT_THROW(LearningRate(std::nan("")), InvalidArgumentError);
  EXPECT_THROW(LearningRate(LearningRate::Schedule()), InvalidArgumentError);
  EXPECT_THROW(get_optimizer_fn("sgd", ops::Const(scope, {1.f, 2.f}))(scope), InvalidArgumentError);
  EXPECT_THROW(get_optimizer_fn("sgd", ops::Const(scope, 1))(scope), InvalidArgumentError);
}

}  // namespace
}  // namespace mox
