// freeze, finetune, model_ema, lr_find: what a training is told beside its functions.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "moxing/tensor_dataset.h"
#include "run/toy_model.h"
#include "tensorflow/core/platform/env.h"
#include "tensorflow/core/util/tensor_bundle/tensor_bundle.h"

namespace mox {
namespace {

using namespace mox::testing;
using tensorflow::Tensor;

using Values = std::map<std::string, std::vector<float>>;

// The float variables of a checkpoint.
Values values_in(const std::string& prefix) {
  tensorflow::BundleReader reader(tensorflow::Env::Default(), prefix);
  TF_CHECK_OK(reader.status());
  Values values;
  for (reader.Seek(""); reader.Valid(); reader.Next()) {
    const std::string name(reader.key());
    if (name.empty()) continue;
    Tensor value;
    TF_CHECK_OK(reader.Lookup(name, &value));
    if (value.dtype() != tensorflow::DT_FLOAT) continue;
    values[name].assign(value.flat<float>().data(), value.flat<float>().data() + value.NumElements());
  }
  return values;
}

std::string average(const std::string& name) { return name + "/ExponentialMovingAverage"; }

// The toy model with batch norm of its input, and a second layer of `outputs`.
ModelFn model_with_norm(int outputs) {
  return [outputs](const Scope& s, const std::vector<Output>& inputs, ModeKeys mode) {
    const Output normed = layers::batch_norm(s, inputs[0], "norm", {.is_training = mode == ModeKeys::TRAIN});
    const Output w = s.get_variable("w", {4, 1}, {.initializer = constant_initializer(0.1f)});
    const Output head = s.get_variable("head/weights", {1, outputs}, {.initializer = constant_initializer(0.5f)});
    const Output y = ops::Sum(s, ops::MatMul(s, ops::MatMul(s, normed, w), head), 1);
    const Output loss = ops::Mean(s, ops::Square(s, ops::Sub(s, y, inputs[1])), 0);
    return ModelSpec{.loss = loss,
                     .log_info = {{"loss", loss}},
                     .output_info = {{"y", y}},
                     .export_spec = ExportSpec{{{"x", inputs[0]}}, {{"y", y}}}};
  };
}

RunOptions norm_options(const std::string& log_dir, int64_t steps, int outputs = 1) {
  RunOptions options = toy_options(log_dir, steps);
  options.model_fn = model_with_norm(outputs);
  options.optimizer_fn = get_optimizer_fn("momentum", 0.02);
  options.save_model_steps = 1;
  options.keep_checkpoint_max = 0;
  return options;
}

TEST(Freeze, WhatMatchesIsNotTrained) {
  TempDir dir;
  RunOptions options = norm_options(dir.path("a"), 3);
  options.freeze = "NORM/, ^head";
  LogCapture log;
  run(options);
  const Values values = values_in(dir.path("a/model.ckpt-3"));
  EXPECT_EQ(values.at("head/weights"), std::vector<float>{0.5f});
  EXPECT_EQ(values.count("head/weights/Momentum"), 0u);
  EXPECT_NE(values.at("w"), std::vector<float>(4, 0.1f));
  EXPECT_TRUE(log.contains("freeze: ") && log.contains("trainable variables are not trained: ")) << log.all();
}

TEST(Freeze, APatternThatMatchesNothingIsAnErrorWithNearNames) {
  TempDir dir;
  RunOptions options = norm_options(dir.path("a"), 3);
  options.freeze = "haed/weight5";
  const std::string error = error_of<InvalidArgumentError>([&] { run(options); });
  EXPECT_NE(error.find("freeze: 'haed/weight5' matches none of the"), std::string::npos) << error;
  EXPECT_NE(error.find("head/weights"), std::string::npos) << error;
  options.freeze = "(";
  EXPECT_NE(error_of<InvalidArgumentError>([&] { run(options); }).find("not a regular expression"), std::string::npos);
  options.freeze = ".";
  EXPECT_NE(error_of<InvalidArgumentError>([&] { run(options); }).find("freeze"), std::string::npos);
}

TEST(Patterns, IgnoreCaseAndHintWhereTheyMatchNothing) {
  TempDir dir;
  run(norm_options(dir.path("a"), 2));
  RunOptions options = norm_options(dir.path("b"), 2, 3);
  options.checkpoint_path = dir.path("a");
  set_flag("checkpoint_exclude_patterns", "HEAD/");
  LogCapture log;
  run(options);
  EXPECT_TRUE(log.contains("left out by the patterns: head/weights")) << log.all();
  set_flag("checkpoint_exclude_patterns", "head/,heat/weight5");
  options.log_dir = dir.path("c");
  run(options);
  reset_flags();
  EXPECT_TRUE(log.contains("checkpoint_exclude_patterns: 'heat/weight5' matches none of the")) << log.all();
}

TEST(Finetune, LoadsWhatFitsAndBeginsAtZero) {
  TempDir dir;
  run(norm_options(dir.path("a"), 5));
  RunOptions options = norm_options(dir.path("b"), 1, 3);
  options.finetune = dir.path("a");
  options.optimizer_fn = get_optimizer_fn("momentum", 0.0);
  LogCapture log;
  const RunResult result = run(options);
  EXPECT_EQ(result.global_step, 1);
  const Values before = values_in(dir.path("a/model.ckpt-5")), after = values_in(dir.path("b/model.ckpt-1"));
  EXPECT_EQ(after.at("w"), before.at("w"));
  EXPECT_EQ(after.at("head/weights"), std::vector<float>(3, 0.5f));
  EXPECT_TRUE(
      log.contains("begun anew, of another shape: head/weights: the model's is float [1,3], the checkpoint's "
                   "float [1,1]"))
      << log.all();
  std::ifstream file(dir.path("b/finetune.txt"));
  std::stringstream list;
  list << file.rdbuf();
  EXPECT_NE(list.str().find("loaded\tw\n"), std::string::npos) << list.str();
  EXPECT_NE(list.str().find("another shape\thead/weights"), std::string::npos) << list.str();
  EXPECT_EQ(list.str().find("Momentum"), std::string::npos) << "the optimizer's state came along: " << list.str();
  // It goes on from its own.
  options.max_number_of_steps = 2;
  EXPECT_EQ(run(options).steps, 1);
  EXPECT_TRUE(log.contains("finetune is ignored")) << log.all();
}

TEST(Finetune, WhatCannotWorkIsToldBeforeTraining) {
  TempDir dir;
  run(norm_options(dir.path("a"), 1));
  const auto told = [&](const std::function<void(RunOptions*)>& change) {
    RunOptions options = norm_options(dir.path("b"), 1);
    change(&options);
    return error_of<Error>([&] { run(options); });
  };
  EXPECT_NE(told([&](RunOptions* o) { o->finetune = dir.path("none"); }).find("there is no checkpoint at"),
            std::string::npos);
  EXPECT_NE(told([&](RunOptions* o) { o->finetune = o->checkpoint_path = dir.path("a"); }).find("leave one out"),
            std::string::npos);
  EXPECT_NE(told([&](RunOptions* o) {
              o->finetune = dir.path("a");
              o->model_fn = [](const Scope& s, const std::vector<Output>& inputs, ModeKeys) {
                const Output other = s.get_variable("other", {4, 1});
                return ModelSpec{.loss = ops::Mean(s, ops::MatMul(s, inputs[0], other), {0, 1})};
              };
            }).find("it is another network's"),
            std::string::npos);
}

TEST(CheckpointPath, TheStepOfTheOtherTrainingStaysThere) {
  TempDir dir;
  run(norm_options(dir.path("a"), 5));
  RunOptions options = norm_options(dir.path("b"), 3);
  options.checkpoint_path = dir.path("a");
  const RunResult result = run(options);
  EXPECT_EQ(result.steps, 3);
  EXPECT_EQ(result.global_step, 3);
}

TEST(ModelEma, FollowsItsFormula) {
  TempDir dir;
  constexpr int64_t kSteps = 12;
  constexpr double kDecay = 0.4;  // from step 5 on below (1 + n) / (10 + n)
  RunOptions options = norm_options(dir.path("a"), kSteps);
  options.model_ema = kDecay;
  options.freeze = "^head";
  LogCapture log;
  run(options);
  const Values last = values_in(dir.path("a/model.ckpt-12"));
  EXPECT_EQ(last.count(average("head/weights")), 0u) << "it is not trained";
  EXPECT_EQ(last.count(average("w/Momentum")), 0u);
  for (const std::string name : {"w", "norm/moving_mean", "norm/moving_variance", "norm/beta"}) {
    ASSERT_TRUE(last.count(average(name))) << name << "\n" << log.all();
    std::vector<double> wanted;
    for (int64_t step = 0; step <= kSteps; ++step) {
      if (step == 0) {  // the first value is not in a checkpoint
        const float first = name == "w" ? 0.1f : name == "norm/moving_variance" ? 1.f : 0.f;
        wanted.assign(last.at(name).size(), first);
        continue;
      }
      const Values now = values_in(dir.path("a/model.ckpt-" + std::to_string(step)));
      const double n = static_cast<double>(step - 1), d = std::min(kDecay, (1 + n) / (10 + n));
      for (size_t i = 0; i < wanted.size(); ++i) wanted[i] = d * wanted[i] + (1 - d) * now.at(name)[i];
    }
    for (size_t i = 0; i < wanted.size(); ++i)
      EXPECT_NEAR(last.at(average(name))[i], wanted[i], 1e-5) << name << " " << i;
  }
}

TEST(ModelEma, AResumedTrainingHasItBitForBit) {
  set_flag("num_inter_threads", 1);
  set_flag("num_intra_threads", 1);
  for (const int devices : {1, 2}) {
    SCOPED_TRACE(devices);
    set_flag("num_gpus", devices);
    TempDir dir;
    const auto train = [&](const std::string& name, int64_t steps) {
      RunOptions options = norm_options(dir.path(name), steps);
      options.input_fn = [](const Scope& s, ModeKeys) {
        Tensor x(tensorflow::DT_FLOAT, {50, 4}), y(tensorflow::DT_FLOAT, {50});
        for (int64_t i = 0; i < 50; ++i) {
          y.vec<float>()(i) = static_cast<float>(i % 7) - 3;
          for (int j = 0; j < 4; ++j) x.matrix<float>()(i, j) = std::sin(static_cast<float>((i + 1) * (j + 2)));
        }
        return make_tensor_dataset({{"x", x}, {"y", y}}, {}, {.shuffle = true, .seed = 7})->get(s, {"x", "y"});
      };
      options.model_ema = 0.9;
      options.random_seed = 7;
      run(options);
    };
    train("whole", 8);
    train("parts", 3);
    train("parts", 8);
    EXPECT_EQ(values_in(dir.path("whole/model.ckpt-8")), values_in(dir.path("parts/model.ckpt-8")));
    LogCapture log;
    run(norm_options(dir.path("parts"), 9));
    EXPECT_TRUE(log.contains("but model_ema is not given: they end here")) << log.all();
  }
  reset_flags();
}

TEST(ModelEma, BeginsWithTheWeightsThatATrainingStartsFrom) {
  TempDir dir;
  run(norm_options(dir.path("a"), 5));
  for (const bool goes_on : {false, true}) {
    RunOptions options = norm_options(dir.path(goes_on ? "a" : "b"), goes_on ? 6 : 1);
    if (!goes_on) options.finetune = dir.path("a/model.ckpt-5");
    options.optimizer_fn = get_optimizer_fn("momentum", 0.0);
    options.model_ema = 0.9;
    run(options);
    const Values found = values_in(dir.path(goes_on ? "a/model.ckpt-6" : "b/model.ckpt-1"));
    const std::vector<float>&w = found.at("w"), &mean = found.at(average("w"));
    for (size_t i = 0; i < w.size(); ++i) EXPECT_NEAR(w[i], mean[i], 1e-6) << goes_on;
  }
}

TEST(ModelEma, IsEvaluatedAndExportedWhenAsked) {
  TempDir dir;
  RunOptions options = norm_options(dir.path("a"), 40);
  options.model_ema = 0.9;
  options.use_ema = true;
  options.export_model = export_keys::TF_SERVING;
  const std::string exported = run(options).export_dir;
  const Values trained = values_in(dir.path("a/model.ckpt-40")), served = values_in(exported + "/variables/variables");
  EXPECT_EQ(served.at("w"), trained.at(average("w")));
  EXPECT_EQ(served.at("norm/moving_mean"), trained.at(average("norm/moving_mean")));
  EXPECT_EQ(served.at("head/weights"), trained.at(average("head/weights")));
  const auto loss = [&](bool use_ema) {
    RunOptions eval = norm_options("", 0);
    eval.input_fn = [](const Scope& s, ModeKeys) { return regression_input(s, 32); };
    eval.run_mode = ModeKeys::EVAL;
    eval.checkpoint_path = dir.path("a");
    eval.use_ema = use_ema;
    return run(eval).metrics[0].second;
  };
  EXPECT_NE(loss(false), loss(true));
  ExportOptions whole{.model_fn = model_with_norm(1),
                      .inputs = {{tensorflow::DT_FLOAT, tensorflow::PartialTensorShape({-1, 4})},
                                 {tensorflow::DT_FLOAT, tensorflow::PartialTensorShape({-1})}},
                      .checkpoint_path = dir.path("a"),
                      .log_dir = dir.path("b"),
                      .use_ema = true};
  EXPECT_EQ(values_in(export_model(whole) + "/variables/variables"), served);
  run(norm_options(dir.path("plain"), 1));
  whole.checkpoint_path = dir.path("plain");
  EXPECT_NE(error_of<InvalidArgumentError>([&] { export_model(whole); }).find("holds no averages"), std::string::npos);
}

TEST(ModelEma, IsValidatedWhenAsked) {
  TempDir dir;
  for (const int devices : {1, 2}) {
    SCOPED_TRACE(devices);
    const auto validated = [&](bool use_ema) {
      const std::string name = std::to_string(devices) + (use_ema ? "averages" : "weights");
      set_flag("num_gpus", devices);
      RunOptions options = norm_options(dir.path(name), 12);
      options.input_fn = [](const Scope& s, ModeKeys mode) {
        return regression_input(s, mode == ModeKeys::EVAL ? 32 : 0);
      };
      options.model_ema = 0.9;
      options.use_ema = use_ema;
      options.random_seed = 1;
      options.eval_every_n_steps = 6;
      options.keep_best = "loss";
      LogCapture log;
      const RunResult result = run(options);
      reset_flags();
      EXPECT_EQ(log.contains("the validation judges the averages"), use_ema) << log.all();
      EXPECT_EQ(log.contains("the validation judges the weights as they are"), !use_ema) << log.all();
      // An evaluation of the last checkpoint says the same.
      RunOptions eval = norm_options("", 0);
      eval.input_fn = options.input_fn;
      eval.run_mode = ModeKeys::EVAL;
      eval.checkpoint_path = dir.path(name + "/model.ckpt-12");
      eval.use_ema = use_ema;
      EXPECT_NEAR(result.validation[0].second, run(eval).metrics[0].second, 1e-5);
      return std::pair(result.validation[0].second, values_in(dir.path(name + "/model.ckpt-12")));
    };
    const auto [weights, one] = validated(false);
    const auto [averages, other] = validated(true);
    EXPECT_GT(std::abs(weights - averages), 1e-3);
    EXPECT_EQ(one, other) << "what is validated changes the training";
  }
}

TEST(ModelEma, ASkippedStepMovesNoAverage) {
  TempDir dir;
  set_flag("loss_scale", "dynamic");
  RunOptions options = toy_options(dir.path("a"), 3);
  options.save_model_steps = 1;
  options.model_ema = 0.5;
  options.model_fn = [](const Scope& s, const std::vector<Output>& inputs, ModeKeys mode) {
    ModelSpec spec = regression_model(s, inputs, mode);
    // In step 1 a gradient is no number, the loss is one: the root of 0.
    const Output step = ops::Cast(s, get_or_create_global_step(s).value, tensorflow::DT_FLOAT);
    const Output w = s.reuse_variables().get_variable("w", {4, 1});
    const Output size = ops::Sum(s, ops::Square(s, w), {0, 1});
    const Output root = ops::Sqrt(s, ops::Multiply(s, size, ops::Abs(s, ops::Subtract(s, step, 1.f))));
    const Output loss = ops::Add(s, spec.loss.all()[0], root);
    return ModelSpec{.loss = loss, .log_info = {{"loss", loss}}};
  };
  run(options);
  reset_flags();
  const Values one = values_in(dir.path("a/model.ckpt-1")), two = values_in(dir.path("a/model.ckpt-2")),
               three = values_in(dir.path("a/model.ckpt-3"));
  EXPECT_EQ(one.at("w"), two.at("w"));
  EXPECT_EQ(one.at(average("w")), two.at(average("w")));
  EXPECT_NE(three.at("w"), two.at("w"));
  EXPECT_NE(three.at(average("w")), two.at(average("w")));
}

TEST(Recipe, WrongValuesAreToldBeforeTraining) {
  TempDir dir;
  const auto told = [&](const std::function<void(RunOptions*)>& change) {
    RunOptions options = toy_options(dir.path("a"), 1);
    change(&options);
    return error_of<InvalidArgumentError>([&] { run(options); });
  };
  EXPECT_NE(told([](RunOptions* o) { o->model_ema = 1; }).find("below 1"), std::string::npos);
  EXPECT_NE(told([](RunOptions* o) { o->model_ema = -1; }).find("model_ema is -1"), std::string::npos);
  EXPECT_NE(told([](RunOptions* o) { o->use_ema = true; }).find("model_ema, which is not given"), std::string::npos);
  EXPECT_NE(told([](RunOptions* o) {
              o->model_ema = 0.9;
              o->use_ema = true;
            }).find("what a validation evaluates and export_model exports"),
            std::string::npos);
  for (std::string RunOptions::*start : {&RunOptions::finetune, &RunOptions::checkpoint_path}) {
    RunOptions options = toy_options(dir.path("new"), 1);
    options.*start = dir.path("nowhere/model.ckpt-1");
    EXPECT_NE(error_of<NotFoundError>([&] { run(options); }).find("nowhere"), std::string::npos);
    EXPECT_FALSE(std::filesystem::exists(dir.path("new"))) << "nothing was trained";
  }
  EXPECT_NE(told([](RunOptions* o) {
              o->run_mode = ModeKeys::EVAL;
              o->freeze = "w";
            }).find("freeze is for run_mode TRAIN"),
            std::string::npos);
}

TEST(LrFind, SuggestsARateThatTrains) {
  LogCapture log;
  const auto make = [](const LearningRate& rate) { return get_optimizer_fn("sgd", rate); };
  const LrFindResult found = lr_find(toy_options("", 0), make, {.lowest = 1e-5, .highest = 1e4});
  ASSERT_GT(found.points.size(), 10u);
  EXPECT_LT(found.points.size(), 100u) << "it went on where the loss had diverged";
  EXPECT_DOUBLE_EQ(found.points[0].learning_rate, 1e-5);
  EXPECT_NEAR(found.points[2].learning_rate / found.points[1].learning_rate, std::pow(1e9, 0.01), 1e-9);
  EXPECT_GT(found.suggestion, 1e-4);
  EXPECT_LT(found.suggestion, 1);
  const auto least = std::min_element(found.points.begin(), found.points.end(),
                                      [](const auto& a, const auto& b) { return a.smoothed < b.smoothed; });
  EXPECT_LT(found.suggestion, least->learning_rate);
  EXPECT_LT(least->smoothed, found.points[0].loss);
}

TEST(LrFind, LeavesNothingBehindAndRefusesWhatItCannotDo) {
  TempDir dir;
  const auto make = [](const LearningRate& rate) { return get_optimizer_fn("sgd", rate); };
  lr_find(toy_options(dir.path("a"), 0), make, {.steps = 10});
  EXPECT_FALSE(std::filesystem::exists(dir.path("a")));
  EXPECT_NE(error_of<InvalidArgumentError>([&] {
              lr_find(toy_options("", 0), make, {.lowest = 1, .highest = 0.1});
            }).find("highest"),
            std::string::npos);
}

}  // namespace
}  // namespace mox
