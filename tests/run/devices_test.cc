// Several devices give the numbers of one device on the joined batch.
#include "run/toy_model.h"

namespace mox {
namespace {

using namespace mox::testing;

// The mean loss over the devices, of every step.
std::vector<double> losses(int num_gpus, int64_t batch_size, const std::string& log_dir) {
  set_flag("num_gpus", num_gpus);
  set_flag("log_first_clone", false);
  std::vector<double> losses;
  RunOptions options = toy_options(log_dir, 50);
  options.batch_size = batch_size;
  options.optimizer_fn = get_optimizer_fn("momentum", 0.02, {.momentum = 0.9f});
  collect_losses(&options, &losses);
  run(options);
  reset_flags();
  return losses;
}

TEST(Devices, TwoEqualOneOnTheJoinedBatch) {
  TempDir dir;
  const std::vector<double> one = losses(1, 16, dir.path("one")), two = losses(2, 8, dir.path("two"));
  ASSERT_EQ(one.size(), 50u);
  ASSERT_EQ(two.size(), 50u);
  for (size_t i = 0; i < one.size(); ++i) EXPECT_NEAR(one[i], two[i], 1e-5) << "step " << i;
  EXPECT_LT(one.back(), one.front() / 4);
}

TEST(Devices, PredictionsComeInOrderOfStepsAndDevices) {
  TempDir dir;
  run(toy_options(dir.path(), 1));
  set_flag("num_gpus", 2);
  RunOptions options = toy_options(dir.path(), 0, 8 * 6);
  options.run_mode = ModeKeys::PREDICT;
  options.output_every_n_steps = 3;
  options.model_fn = [](const Scope& s, const std::vector<Output>& inputs, ModeKeys mode) {
    ModelSpec spec = regression_model(s, inputs, mode);
    spec.output_info = {{"x", inputs[0]}};
    return spec;
  };
  std::vector<float> first;
  options.output_fn = [&](const std::vector<OutputDict>& outputs) {
    for (const OutputDict& dict : outputs) first.push_back(dict.at("x").matrix<float>()(0, 0));
  };
  run(options);
  reset_flags();
  ASSERT_EQ(first.size(), 6u);
  for (int i = 0; i < 6; ++i) EXPECT_NEAR(first[i], std::sin(8.f * i), 1e-5) << i;
}

// A model with the recipe's parts: weights of the classes, averages of the weights, mixed batches.
struct Recipe {
  std::vector<float> class_weights = {};
  MixOptions mix = {};
  double model_ema = 0;
};

struct Trained {
  std::vector<double> losses;  // of every step
  double validation = 0;       // the last, of the averages where there are some
};

Trained train_recipe(const Recipe& recipe, int num_gpus, const char* variable_update, const std::string& log_dir) {
  constexpr int64_t kJoined = 16;
  set_flag("num_gpus", num_gpus);
  set_flag("log_first_clone", false);
  set_flag("variable_update", variable_update);
  RunOptions options = toy_options(log_dir, 30);
  options.batch_size = kJoined / num_gpus;
  options.random_seed = 5;
  options.model_ema = recipe.model_ema;
  options.use_ema = recipe.model_ema > 0;
  options.eval_every_n_steps = 30;
  options.input_fn = [](const Scope& s, ModeKeys mode) { return regression_input(s, mode == ModeKeys::EVAL ? 64 : 0); };
  Trained result;
  collect_losses(&options, &result.losses);
  options.model_fn = [recipe](const Scope& s, const std::vector<Output>& inputs, ModeKeys mode) {
    // Two classes, by the sign of y; images of 2x2 pixels.
    const Output label = ops::Cast(s, ops::Greater(s, inputs[1], 0.f), tensorflow::DT_INT32);
    MixedBatch batch{ops::Reshape(s, inputs[0], {-1, 2, 2, 1}), layers::one_hot_encoding(s, label, 2)};
    if (mode == ModeKeys::TRAIN) batch = mix_batch(s, batch.images, batch.labels, recipe.mix);
    losses::CrossEntropyOptions cross_entropy;
    if (mode == ModeKeys::TRAIN && !recipe.class_weights.empty())
      cross_entropy.sample_weights = losses::weights_of_classes(s, batch.labels, recipe.class_weights);
    const Output logits = layers::fully_connected(s, layers::flatten(s, batch.images, "flat"), 2, "logits",
                                                  {.activation = nullptr, .weights_initializer = zeros_initializer()});
    const Output loss = losses::softmax_cross_entropy(s, batch.labels, logits, cross_entropy);
    return ModelSpec{.loss = loss, .log_info = {{"loss", loss}}, .output_info = {{"loss", loss}}};
  };
  result.validation = run(options).validation[0].second;
  reset_flags();
  return result;
}

TEST(Devices, ClassWeightsAndAveragesAreThoseOfOneDevice) {
  TempDir dir;
  const Recipe recipe{.class_weights = {0.25f, 4.f}, .model_ema = 0.8};
  const Trained one = train_recipe(recipe, 1, "auto", dir.path("one"));
  ASSERT_EQ(one.losses.size(), 30u);
  EXPECT_LT(one.losses.back(), one.losses.front() * 0.8);
  for (const char* mode : {"replicated", "replicated_host"}) {
    SCOPED_TRACE(mode);
    const Trained two = train_recipe(recipe, 2, mode, dir.path(mode));
    ASSERT_EQ(two.losses.size(), 30u);
    for (size_t i = 0; i < one.losses.size(); ++i) EXPECT_NEAR(one.losses[i], two.losses[i], 1e-5) << "step " << i;
    EXPECT_NEAR(one.validation, two.validation, 1e-5);
  }
}

// Each device mixes its own part of a batch, so the numbers are not those of one device: both learn the same thing.
TEST(Devices, MixedBatchesTrainOnEachDevice) {
  TempDir dir;
  const Recipe recipe{.mix = {.mixup = 0.4f}};
  const Trained one = train_recipe(recipe, 1, "auto", dir.path("one"));
  for (const char* mode : {"replicated", "replicated_host"}) {
    SCOPED_TRACE(mode);
    const Trained two = train_recipe(recipe, 2, mode, dir.path(mode));
    EXPECT_LT(two.validation, std::log(2.0) * 0.8);
    EXPECT_NEAR(two.validation, one.validation, 0.05);
    // The same every time.
    EXPECT_EQ(train_recipe(recipe, 2, mode, dir.path(std::string(mode) + "_again")).losses, two.losses);
  }
}

// Five full batches and one of three samples on two devices: the last step has one batch only, and none is lost.
TEST(Devices, NoSampleIsLostWhereBatchesDoNotFillAStep) {
  TempDir dir;
  run(toy_options(dir.path(), 1));
  set_flag("num_gpus", 2);
  set_flag("log_first_clone", false);
  for (const int64_t samples : {8 * 4 + 3, 8 * 5 + 3}) {
    RunOptions options = toy_options(dir.path(), 0, samples);
    options.model_fn = [](const Scope& s, const std::vector<Output>& inputs, ModeKeys mode) {
      ModelSpec spec = regression_model(s, inputs, mode);
      spec.output_info = {{"y", inputs[1]}};
      spec.log_info = {
          {"first", ops::StridedSlice(s, inputs[0], {0, 0}, {1, 1}, {1, 1}, ops::StridedSlice::ShrinkAxisMask(3))}};
      return spec;
    };
    options.run_mode = ModeKeys::PREDICT;
    options.output_every_n_steps = 2;
    int64_t seen = 0, batches = 0;
    options.output_fn = [&](const std::vector<OutputDict>& outputs) {
      for (const OutputDict& dict : outputs) {
        seen += dict.at("y").NumElements();
        ++batches;
      }
    };
    run(options);
    EXPECT_EQ(seen, samples);
    options.run_mode = ModeKeys::EVAL;
    options.output_fn = nullptr;
    double sum = 0;
    for (int i = 0; i < batches; ++i) sum += std::sin(8.0 * i);
    EXPECT_NEAR(run(options).metrics[0].second, sum / batches, 1e-5) << samples;
  }
  reset_flags();
}

}  // namespace
}  // namespace mox
