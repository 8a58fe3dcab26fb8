// Augmentation where it is used: per sample, in the data pipeline of mox::run.
#include <cmath>
#include <set>

#include "run/toy_model.h"

namespace mox {
namespace {

using namespace mox::testing;

// A byte image of 40 x 36 from a count.
Output striped_image(const Scope& scope, const Output& count) {
  const Output x = ops::Cast(scope, ops::Range(scope, 0, 40 * 36 * 3, 1), tensorflow::DT_FLOAT);
  const Output phase = ops::Cast(scope, count, tensorflow::DT_FLOAT);
  const Output wave = ops::Sin(scope, ops::Add(scope, ops::Multiply(scope, x, 0.01f), phase));
  const Output bytes = ops::Cast(scope, ops::Multiply(scope, ops::Abs(scope, wave), 255.f), tensorflow::DT_UINT8);
  return ops::Reshape(scope, bytes, {40, 36, 3});
}

TEST(RunAugmentation, EveryFamilyWorksInThePipeline) {
  for (const char* name : {"vgg_16", "pvanet", "inception_v3", "cifarnet", "lenet"}) {
    SCOPED_TRACE(name);
    TempDir dir;
    LogCapture log;
    std::vector<tensorflow::Tensor> batches;
    RunOptions options = toy_options(dir.path(), 6);
    options.random_seed = 3;
    options.input_fn = [&](const Scope& scope, ModeKeys mode) -> std::vector<Output> {
      // The same image for all samples: what differs is the augmentation.
      const Output count = ops::Multiply(scope, counting_input(scope, 0)[0], ops::Const<int64_t>(scope, 0));
      const auto augment = get_data_augmentation_fn(name, mode, 32, 24, {.fast_mode = false});
      return {augment(scope, striped_image(scope, count))};
    };
    options.model_fn = [](const Scope& s, const std::vector<Output>& inputs, ModeKeys) -> ModelSpec {
      EXPECT_EQ(static_shape(s, inputs[0]), (std::vector<int64_t>{8, 32, 24, 3}));
      const Output w = s.get_variable("w", {}, {.initializer = ones_initializer()});
      const Output loss = ops::Square(s, ops::Multiply(s, w, ops::Mean(s, inputs[0], {0, 1, 2, 3})));
      return {.loss = loss, .log_info = {{"loss", loss}}, .output_info = {{"images", inputs[0]}}};
    };
    options.optimizer_fn = get_optimizer_fn("sgd", 0.0);
    options.output_every_n_steps = 1;
    options.output_fn = [&](const std::vector<OutputDict>& outputs) {
      for (const OutputDict& output : outputs) batches.push_back(output.at("images"));
    };
    run(options);
    ASSERT_EQ(batches.size(), 6u);
    std::set<std::string> distinct;
    for (const auto& batch : batches) {
      const auto images = batch.tensor<float, 4>();
      for (int i = 0; i < 8; ++i) {
        const float* image = &images(i, 0, 0, 0);
        for (int j = 0; j < 32 * 24 * 3; ++j) ASSERT_TRUE(std::isfinite(image[j]));
        distinct.emplace(reinterpret_cast<const char*>(image), 32 * 24 * 3 * sizeof(float));
      }
    }
    // lenet does nothing at random.
    if (std::string(name) == "lenet")
      EXPECT_EQ(distinct.size(), 1u);
    else
      EXPECT_GT(distinct.size(), 20u);
  }
}

}  // namespace
}  // namespace mox
