// The optimizers against TensorFlow's own: expected.json is made by make_expected.py.
#include "moxing/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

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

OptimizerOptions options_of(const json& values) {
  OptimizerOptions options;
  for (const auto& [key, value] : values.items()) {
    if (key == "momentum")
      options.momentum = value;
    else if (key == "use_nesterov")
      options.use_nesterov = value;
    else if (key == "beta1")
      options.beta1 = value;
    else if (key == "beta2")
      options.beta2 = value;
    else if (key == "epsilon")
      options.epsilon = value.get<float>();
    else
      throw std::runtime_error("unknown option in expected.json: " + key);
  }
  return options;
}

const json& expected() {
  static const json data = json::parse(std::ifstream(MOX_OPTIM_TEST_DIR "/expected.json"));
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
    const std::string title = test_case["optimizer"].get<std::string>() + " " + test_case["options"].dump();
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
    EXPECT_EQ(slots.size(), test_case["slots"].size());
    for (const auto& [name, values] : test_case["slots"].items()) {
      ASSERT_TRUE(slots.count(name)) << name;
      expect_near(run.fetch_floats(slots[name]), values, title + " slot " + name);
    }
  }
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
  const std::vector<LearningRate> rates = {
      0.25, 0.25f, tensor, LearningRate::Schedule([](const Scope& s) -> tf::Output { return ops::Const(s, 0.25); })};
  std::vector<tf::Output> built;
  for (const LearningRate& rate : rates) built.push_back(get_optimizer_fn("sgd", rate)(scope)->learning_rate());
  GraphRun run(scope);
  for (const tf::Output& rate : built) EXPECT_EQ(run.fetch_floats(rate), std::vector<float>{0.25f});
}

TEST(LearningRate, RefusesWhatIsNone) {
  Scope scope = Scope::new_root();
  EXPECT_THROW(LearningRate(-0.1), InvalidArgumentError);
  EXPECT_THROW(LearningRate(std::nan("")), InvalidArgumentError);
  EXPECT_THROW(get_optimizer_fn("sgd", ops::Const(scope, {1.f, 2.f}))(scope), InvalidArgumentError);
  EXPECT_THROW(get_optimizer_fn("sgd", ops::Const(scope, 1))(scope), InvalidArgumentError);
}

}  // namespace
}  // namespace mox
