// Weights that are not finite are never saved, and not taken from where an older version saved them.
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

#include "run/toy_model.h"
#include "tensorflow/core/platform/env.h"
#include "tensorflow/core/util/tensor_bundle/tensor_bundle.h"

namespace mox {
namespace {

using namespace mox::testing;
using tensorflow::Tensor;
namespace fs = std::filesystem;

constexpr float kInf = std::numeric_limits<float>::infinity();

// Trains well until `step`, whose loss is finite and whose gradient is not.
RunOptions diverging_at(const std::string& dir, int64_t step, int64_t steps = 100) {
  RunOptions options = toy_options(dir, steps);
  options.save_model_steps = 1;
  options.optimizer_fn = get_optimizer_fn("sgd", 100.);
  options.model_fn = [step](const Scope& s, const std::vector<Output>& inputs, ModeKeys mode) {
    const ModelSpec good = regression_model(s, inputs, mode);
    const Output w = s.get_variable("w2", {3}, {.initializer = constant_initializer(0.f)});
    const Variable global_step = get_or_create_global_step(s);
    const Output now =
        ops::Cast(s, ops::ReadVariableOp(s, global_step.handle, tensorflow::DT_INT64), tensorflow::DT_FLOAT);
    const Output far = ops::Abs(s, ops::Sub(s, now, static_cast<float>(step)));
    const Output slope = ops::Multiply(s, ops::Relu(s, ops::Sub(s, 1.f, far)), -3e38f);  // 0 in the other steps
    const Output part = ops::Multiply(s, ops::Mean(s, w, {0}), slope);
    ModelSpec spec;
    spec.loss = ops::Add(s, ops::StopGradient(s, good.loss.all()[0]), ops::Sub(s, part, ops::StopGradient(s, part)));
    spec.log_info = good.log_info;
    return spec;
  };
  return options;
}

// Puts `value` into the first element of a variable of a checkpoint that is there.
template <typename T = float>
void poison(const std::string& prefix, const std::string& variable, T value) {
  tensorflow::Env* env = tensorflow::Env::Default();
  std::vector<std::pair<std::string, Tensor>> values;
  {
    tensorflow::BundleReader reader(env, prefix);
    ASSERT_TRUE(reader.status().ok());
    for (reader.Seek(""); reader.Valid(); reader.Next())
      if (!reader.key().empty()) values.emplace_back(std::string(reader.key()), Tensor());
    for (auto& [name, tensor] : values) ASSERT_TRUE(reader.Lookup(name, &tensor).ok());
  }
  tensorflow::BundleWriter writer(env, prefix);
  bool found = false;
  for (auto& [name, tensor] : values) {
    if (name == variable) {
      tensor.template flat<T>()(0) = value;
      found = true;
    }
    ASSERT_TRUE(writer.Add(name, tensor).ok());
  }
  ASSERT_TRUE(writer.Finish().ok());
  ASSERT_TRUE(found) << variable;
}

RunOptions momentum(const std::string& dir, int64_t steps) {
  RunOptions options = toy_options(dir, steps);
  options.optimizer_fn = get_optimizer_fn("momentum", 0.01);
  options.save_model_steps = 2;
  return options;
}

TEST(FiniteWeights, AreTheOnlyOnesThatAreSaved) {
  TempDir dir;
  const std::string error = error_of<RunError>([&] { run(diverging_at(dir.path(), 4)); });
  EXPECT_NE(error.find("the variable w2 holds "), std::string::npos) << error;
  EXPECT_NE(error.find("after step 5"), std::string::npos) << error;
  EXPECT_NE(error.find("the last checkpoint is " + dir.path("model.ckpt-4")), std::string::npos) << error;
  EXPECT_TRUE(fs::exists(dir.path("model.ckpt-4.index")));
  EXPECT_FALSE(fs::exists(dir.path("model.ckpt-5.index")));
  EXPECT_FALSE(fs::exists(dir.path("model.ckpt-6.index")));
}

TEST(FiniteWeights, TheLastStepsCountToo) {
  TempDir dir;
  RunOptions options = diverging_at(dir.path(), 0, 1);
  options.export_model = export_keys::TF_SERVING;
  options.model_fn = [inner = options.model_fn](const Scope& s, const std::vector<Output>& inputs, ModeKeys mode) {
    ModelSpec spec = inner(s, inputs, mode);
    spec.export_spec = ExportSpec{{{"x", inputs[0]}}, {{"x", inputs[0]}}};
    return spec;
  };
  const std::string error = error_of<RunError>([&] { run(options); });
  EXPECT_NE(error.find("the variable w2 holds "), std::string::npos) << error;
  EXPECT_NE(error.find("there is no checkpoint yet"), std::string::npos) << error;
  EXPECT_FALSE(fs::exists(dir.path("checkpoint")));
  EXPECT_FALSE(fs::exists(dir.path("1")));
}

TEST(FiniteWeights, ALossThatIsNotFiniteNamesTheCheckpointThatIsReallyTheLast) {
  TempDir dir;
  run(toy_options(dir.path(), 3));
  RunOptions options = toy_options(dir.path(), 1000);
  options.optimizer_fn = get_optimizer_fn("sgd", 1e10);
  const std::string error = error_of<RunError>([&] { run(options); });
  EXPECT_NE(error.find("the loss is "), std::string::npos) << error;
  EXPECT_NE(error.find("the last checkpoint is the one that it went on from, " + dir.path("model.ckpt-3")),
            std::string::npos)
      << error;
}

TEST(FiniteWeights, WhatAnOlderVersionPoisonedIsPassedOver) {
  for (const auto& [variable, value] : {std::pair("w", NAN), {"b", kInf}, {"w/Momentum", NAN}, {"b/Momentum", -kInf}}) {
    TempDir dir;
    run(momentum(dir.path(), 6));
    poison(dir.path("model.ckpt-6"), variable, value);
    poison(dir.path("model.ckpt-4"), variable, value);
    LogCapture log;
    RunOptions options = momentum(dir.path(), 8);
    options.keep_checkpoint_max = 2;
    EXPECT_EQ(run(options).steps, 6) << variable;
    EXPECT_TRUE(log.contains("checkpoint " + dir.path("model.ckpt-6") +
                             " was saved after the training had diverged (the variable " + variable + " holds "))
        << log.all();
    EXPECT_TRUE(log.contains("model.ckpt-2: going on from it")) << log.all();
  }
}

TEST(FiniteWeights, AGlobalStepBelowZeroIsNone) {
  TempDir dir;
  run(momentum(dir.path(), 4));
  poison<int64_t>(dir.path("model.ckpt-4"), "global_step", -5);
  LogCapture log;
  EXPECT_EQ(run(momentum(dir.path(), 6)).steps, 4);
  EXPECT_TRUE(log.contains("model.ckpt-4 is broken (its global_step is -5, expected 0 or more)")) << log.all();
}

TEST(FiniteWeights, APoisonedCheckpointIsNotTheBest) {
  TempDir dir;
  RunOptions options = momentum(dir.path(), 6);
  options.keep_best = "loss";
  options.log_every_n_steps = 1;
  run(options);
  poison(dir.path("model.ckpt-6"), "w", NAN);
  std::ofstream(dir.path("best_checkpoint.json")) << R"({"checkpoint": "model.ckpt-6", "metric": "loss", "value": -1})";
  options.max_number_of_steps = 8;
  run(options);
  std::stringstream best;
  best << std::ifstream(dir.path("best_checkpoint.json")).rdbuf();
  EXPECT_EQ(best.str().find("model.ckpt-6\""), std::string::npos) << best.str();
}

TEST(FiniteWeights, WhenAllArePoisonedNothingIsStartedAnew) {
  TempDir dir;
  run(momentum(dir.path(), 2));
  poison(dir.path("model.ckpt-2"), "w", NAN);
  const std::string error = error_of<DataError>([&] { run(momentum(dir.path(), 4)); });
  EXPECT_NE(error.find("none of the 1 checkpoints"), std::string::npos) << error;
  EXPECT_NE(error.find("the variable w holds nan (element 0 of [4,1])"), std::string::npos) << error;
}

// A mask of -inf that nothing changes, and a best value that is infinite until there is one.
TEST(FiniteWeights, WhatMayBeInfiniteMay) {
  TempDir dir;
  const auto options = [&](int64_t steps) {
    RunOptions o = toy_options(dir.path(), steps);
    o.model_fn = [](const Scope& s, const std::vector<Output>& inputs, ModeKeys mode) {
      ModelSpec spec = regression_model(s, inputs, mode);
      s.get_variable("mask", {2, 2}, {.initializer = constant_initializer(-kInf), .trainable = false});
      const Variable best =
          s.get_variable_object("best", {}, {.initializer = constant_initializer(kInf), .trainable = false});
      const Output value = ops::ReadVariableOp(s, best.handle, tensorflow::DT_FLOAT);
      s.add_to_collection(collections::kUpdateOps,
                          Output(ops::AssignVariableOp(s, best.handle, value).operation.node(), 0));
      return spec;
    };
    return o;
  };
  EXPECT_EQ(run(options(2)).steps, 2);
  EXPECT_EQ(run(options(4)).steps, 2);
}

}  // namespace
}  // namespace mox
