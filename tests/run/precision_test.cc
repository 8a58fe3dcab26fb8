// Loss scale, clipping, 16 bits, frozen variables, and wrappers whose state belongs to a device: each against a plain
// reference over some steps.
#include <cmath>
#include <functional>

#include "run/toy_model.h"
#include "tensorflow/core/util/tensor_bundle/tensor_bundle.h"

namespace mox {
namespace {

using namespace mox::testing;
using tensorflow::Tensor;

class Precision : public ::testing::Test {
 protected:
  ~Precision() override { reset_flags(); }
};

Tensor saved(const std::string& prefix, const std::string& name) {
  tensorflow::BundleReader reader(tensorflow::Env::Default(), prefix);
  Tensor value;
  TF_CHECK_OK(reader.status());
  TF_CHECK_OK(reader.Lookup(name, &value));
  return value;
}

std::vector<float> weights(const std::string& prefix) {
  std::vector<float> all;
  for (const char* name : {"w", "b"}) {
    const Tensor value = saved(prefix, name);
    for (int i = 0; i < value.NumElements(); ++i) all.push_back(value.flat<float>()(i));
  }
  return all;
}

void expect_close(const std::vector<float>& got, const std::vector<float>& want, float tolerance) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want[i], tolerance) << "weight " << i;
}

using Vector = std::vector<double>;  // 4 weights, then the bias

// The toy model's gradient on the samples from `first` on, by hand.
Vector plain_gradient(const Vector& w, int64_t first, int64_t count) {
  Vector gradient(5, 0.0);
  for (int64_t n = first; n < first + count; ++n) {
    Vector x(5, 1.0);
    double y = w[4], target = 0;
    const double truth[] = {1, -2, 3, -4};
    for (int i = 0; i < 4; ++i) {
      x[i] = std::sin(static_cast<float>(n) * (i + 1.f));
      y += w[i] * x[i];
      target += truth[i] * x[i];
    }
    for (int i = 0; i < 5; ++i) gradient[i] += 2 * (y - target) * x[i] / count;
  }
  return gradient;
}

std::vector<float> plain_training(int steps, const std::function<void(Vector*)>& change) {
  Vector w{0.1, 0.1, 0.1, 0.1, 0};
  for (int step = 0; step < steps; ++step) {
    Vector gradient = plain_gradient(w, 8 * step, 8);
    change(&gradient);
    for (int i = 0; i < 5; ++i) w[i] -= 0.1 * gradient[i];
  }
  return {w.begin(), w.end()};
}

double norm(const double* values, int count) {
  double sum = 0;
  for (int i = 0; i < count; ++i) sum += values[i] * values[i];
  return std::sqrt(sum);
}

TEST_F(Precision, ClipsGradientsAsTheTypeSays) {
  const double limit = 0.75;
  auto shrink = [&](double* values, int count) {
    const double factor = limit / std::max(limit, norm(values, count));
    for (int i = 0; i < count; ++i) values[i] *= factor;
  };
  const std::map<std::string, std::function<void(Vector*)>> types{
      {"norm",
       [&](Vector* g) {
         shrink(g->data(), 4);
         shrink(g->data() + 4, 1);
       }},
      {"global_norm", [&](Vector* g) { shrink(g->data(), 5); }},
      {"value",
       [&](Vector* g) {
         for (double& value : *g) value = std::clamp(value, -limit, limit);
       }},
  };
  const std::vector<float> free = plain_training(6, [](Vector*) {});
  for (const auto& [type, change] : types) {
    TempDir dir;
    set_flag("gradient_clip", FlagValue(limit));
    set_flag("gradient_clip_type", type);
    const RunResult result = run(toy_options(dir.path(), 6));
    const std::vector<float> want = plain_training(6, change);
    expect_close(weights(result.checkpoint), want, 1e-5);
    EXPECT_GT(std::abs(want[3] - free[3]), 0.01) << type << ": the limit is never reached, the test shows nothing";
  }
}

TEST_F(Precision, AFixedLossScaleChangesNothing) {
  for (int devices : {1, 2}) {
    TempDir plain, scaled;
    reset_flags();
    set_flag("num_gpus", devices);
    RunOptions options = toy_options(plain.path(), 10);
    options.optimizer_fn = get_optimizer_fn("momentum", 0.05);
    const std::vector<float> want = weights(run(options).checkpoint);
    set_flag("loss_scale", FlagValue(1024.0));
    options.log_dir = scaled.path();
    EXPECT_EQ(weights(run(options).checkpoint), want) << devices << " devices";
  }
}

// loss = 4 w, computed in half precision: its gradient at a scale s is 4 s, infinite from s = 16384 on.
ModelSpec overflowing_model(const Scope& s, const std::vector<Output>& inputs, ModeKeys) {
  const Output w = s.get_variable("w", {1}, {.initializer = constant_initializer(1.f)});
  const Output b = s.get_variable("b", {1}, {.initializer = constant_initializer(1.f)});
  const Output half = ops::Cast(s, w, tensorflow::DT_HALF);
  const Output four = ops::Cast(s, ops::Const(s, 4.f), tensorflow::DT_HALF);
  const Output product = ops::Cast(s, ops::Multiply(s, half, four), tensorflow::DT_FLOAT);
  const Output loss = ops::Sum(s, ops::Add(s, product, b), 0);
  return {.loss = loss, .log_info = {{"loss", loss}}};
}

RunOptions overflowing_options(const std::string& log_dir, int64_t steps) {
  RunOptions options = toy_options(log_dir, steps);
  options.model_fn = overflowing_model;
  options.log_every_n_steps = 1;
  return options;
}

// What make_loss_scale_dynamic promises, by hand.
struct PlainLossScale {
  float scale = 32768;
  int64_t good = 0, growth = 3;
  int applied = 0;
  void step() {
    const bool finite = 4 * scale < 65520;
    if (finite) ++applied;
    if (!finite) scale /= 2;
    good = finite ? good + 1 : 0;
    if (good < growth) return;
    scale *= 2;
    good = 0;
  }
};

TEST_F(Precision, ADynamicLossScaleSkipsHalvesAndDoubles) {
  TempDir dir;
  LogCapture log;
  set_flag("loss_scale", "dynamic");
  set_flag("loss_scale_growth_steps", 3);
  PlainLossScale plain;
  for (int64_t steps : {4, 13}) {  // the second goes on from the first's checkpoint, in the middle of counting
    const RunResult result = run(overflowing_options(dir.path(), steps));
    EXPECT_EQ(result.global_step, steps) << "a skipped step is a step";
    for (int64_t i = 0; i < result.steps; ++i) plain.step();
    expect_close(weights(result.checkpoint), {1 - 0.4f * plain.applied, 1 - 0.1f * plain.applied}, 1e-5);
    EXPECT_EQ(saved(result.checkpoint, "loss_scale_value").scalar<float>()(), plain.scale);
    EXPECT_EQ(saved(result.checkpoint, "loss_scale_good_steps").scalar<int64_t>()(), plain.good);
  }
  EXPECT_TRUE(
      log.contains("[LossScale] global step: 0: the gradients are not finite, the step is skipped; loss_scale: "
                   "32768 -> 16384"))
      << log.all();
  EXPECT_TRUE(log.contains("[LossScale] global step: 4: 3 good steps; loss_scale: 8192 -> 16384")) << log.all();
}

TEST_F(Precision, ASkippedStepLeavesTheOptimizersStateAlone) {
  TempDir dir;
  set_flag("loss_scale", "dynamic");
  RunOptions options = overflowing_options(dir.path(), 5);  // two are skipped
  options.optimizer_fn = get_optimizer_wrapper_fn("lars", get_optimizer_fn("adam", 0.01), {});
  const RunResult result = run(options);
  EXPECT_EQ(result.global_step, 5);
  EXPECT_FLOAT_EQ(saved(result.checkpoint, "beta1_power").scalar<float>()(), std::pow(0.9f, 4.f));
}

// The moving averages of batch normalisation are no gradients' work, and must not move either.
TEST_F(Precision, ASkippedStepLeavesMovingAveragesAlone) {
  for (int devices : {1, 2}) {
    TempDir dir;
    set_flag("loss_scale", "dynamic");
    set_flag("num_gpus", devices);
    RunOptions options = overflowing_options(dir.path(), 5);  // two are skipped
    options.model_fn = [](const Scope& s, const std::vector<Output>& inputs, ModeKeys mode) {
      Tensor twos(tensorflow::DT_FLOAT, {8, 4});
      twos.flat<float>().setConstant(2);
      const Output normal = layers::batch_norm(s, ops::Const(s, twos), "BatchNorm", {.decay = 0.5f});
      ModelSpec spec = overflowing_model(s, inputs, mode);
      const Output loss = ops::Add(s, spec.loss.all()[0], ops::Sum(s, normal, {0, 1}));
      return ModelSpec{.loss = loss, .log_info = {{"loss", loss}}};
    };
    const RunResult result = run(options);
    const Tensor mean = saved(result.checkpoint, "BatchNorm/moving_mean");
    EXPECT_FLOAT_EQ(mean.flat<float>()(0), 2 * (1 - std::pow(0.5f, 3.f))) << devices << " devices";
  }
}

// Fetches gradients by name.
class GradientWatcher : public SessionRunHook {
 public:
  explicit GradientWatcher(std::vector<std::vector<float>>* seen) : seen_(seen) {}
  SessionRunArgs before_run(SessionRunContext&) override {
    return {{"joined_gradients/w:0", "gradients/raw/w:0", "joined_gradients/b"}, {}};
  }
  void after_run(SessionRunContext& context, const SessionRunValues& values) override {
    seen_->push_back({values.results.at(0).flat<float>()(0), values.results.at(1).flat<float>()(0)});
    // The same in a run of the hook's own, at the scale of the next step.
    EXPECT_EQ(context.session().run({"joined_gradients/w:0"}).size(), 1u);
  }

 private:
  std::vector<std::vector<float>>* seen_;
};

TEST_F(Precision, GradientsOfASkippedStepCanBeFetched) {
  TempDir dir;
  set_flag("loss_scale", "dynamic");
  std::vector<std::vector<float>> seen;
  RunOptions options = overflowing_options(dir.path(), 3);  // two are skipped
  options.model_fn = [&](const Scope& s, const std::vector<Output>& inputs, ModeKeys mode) {
    ModelSpec spec = overflowing_model(s, inputs, mode);
    spec.hooks = {std::make_shared<GradientWatcher>(&seen)};
    return spec;
  };
  EXPECT_EQ(run(options).global_step, 3);
  ASSERT_EQ(seen.size(), 3u);
  for (int step : {0, 1}) {
    EXPECT_TRUE(std::isnan(seen[step][0])) << seen[step][0];
    EXPECT_FALSE(std::isfinite(seen[step][1])) << seen[step][1];
  }
  EXPECT_EQ(seen[2], (std::vector<float>{4, 4}));
}

// The inverse of such a scale is 0 in half precision.
TEST_F(Precision, ALargeLossScaleWorksForVariablesIn16Bits) {
  const double scale = std::pow(2.0, 27);
  for (const tensorflow::DataType type : {tensorflow::DT_HALF, tensorflow::DT_BFLOAT16}) {
    TempDir dir;
    set_flag("loss_scale", FlagValue(scale));
    RunOptions options = toy_options(dir.path(), 2);
    options.optimizer_fn = get_optimizer_fn("sgd", 1024.0);
    options.model_fn = [&](const Scope& s, const std::vector<Output>&, ModeKeys) {
      const Output w = s.var_scope(type).get_variable("w", {1}, {.initializer = zeros_initializer()});
      const Output loss = ops::Sum(s, ops::Multiply(s, w, std::pow(2.f, -20.f)), 0);
      return ModelSpec{.loss = loss, .log_info = {{"loss", loss}}};
    };
    const Tensor w = saved(run(options).checkpoint, "w");
    const float value = type == tensorflow::DT_HALF ? static_cast<float>(w.flat<Eigen::half>()(0))
                                                    : static_cast<float>(w.flat<tensorflow::bfloat16>()(0));
    EXPECT_EQ(value, -2 * std::pow(2.f, -10.f)) << tensorflow::DataTypeString(type);
  }
}

TEST_F(Precision, AnOptimizerThatAccumulatesDoesNotCountASkippedStep) {
  for (bool sync_on_apply : {false, true}) {
    TempDir dir;
    set_flag("loss_scale", "dynamic");
    set_flag("num_gpus", 2);
    RunOptions options = overflowing_options(dir.path(), 7);  // two are skipped, five good ones: two groups and one
    options.optimizer_fn = get_optimizer_wrapper_fn("batch_gradients", get_optimizer_fn("sgd", 0.1),
                                                    {.num_batches = 2, .sync_on_apply = sync_on_apply});
    const RunResult result = run(options);
    EXPECT_EQ(result.global_step, 7);
    expect_close(weights(result.checkpoint), {1 - 0.8f, 1 - 0.2f}, 1e-5);
    EXPECT_EQ(saved(result.checkpoint, "batch_gradients_step").scalar<int64_t>()(), 1);
  }
}

TEST_F(Precision, GradientsThatAreNeverFiniteEndTheRun) {
  TempDir dir;
  set_flag("loss_scale", "dynamic");
  RunOptions options = overflowing_options(dir.path(), 100);
  options.model_fn = [](const Scope& s, const std::vector<Output>&, ModeKeys) {
    const Output w = s.get_variable("w", {1}, {.initializer = constant_initializer(0.f)});
    const Output loss = ops::Sum(s, ops::Sqrt(s, w), 0);  // its derivative at 0 is infinite
    return ModelSpec{.loss = loss, .log_info = {{"loss", loss}}};
  };
  const std::string error = error_of<RunError>([&] { run(options); });
  EXPECT_NE(error.find("not finite at loss_scale 1"), std::string::npos) << error;
}

TEST_F(Precision, GradientsOfTwoStepsMakeOneLargerBatch) {
  for (bool sync_on_apply : {false, true})
    for (int devices : {1, 2}) {
      TempDir joined, large;
      reset_flags();
      RunOptions options = toy_options(large.path(), 5);
      options.batch_size = 16 * devices;
      const std::vector<float> want = weights(run(options).checkpoint);
      set_flag("num_gpus", devices);
      options = toy_options(joined.path(), 10);
      options.optimizer_fn = get_optimizer_wrapper_fn("batch_gradients", get_optimizer_fn("sgd", 0.1),
                                                      {.num_batches = 2, .sync_on_apply = sync_on_apply});
      expect_close(weights(run(options).checkpoint), want, 1e-5);
    }
}

// dgc that keeps nothing back is momentum, whatever the number of devices; its state is a device's own.
TEST_F(Precision, CompressionWorksOnEachDevicesOwnGradients) {
  TempDir plain, compressed;
  RunOptions options = toy_options(plain.path(), 10);
  options.batch_size = 16;
  options.optimizer_fn = get_optimizer_fn("momentum", 0.02);
  const std::vector<float> want = weights(run(options).checkpoint);
  set_flag("num_gpus", 2);
  options = toy_options(compressed.path(), 10);
  options.optimizer_fn =
      get_optimizer_wrapper_fn("dgc", get_optimizer_fn("sgd", 0.02),
                               {.sparsity_strategy = {0.f}, .momentum = 0.9f, .momentum_factor_masking = false});
  const RunResult result = run(options);
  expect_close(weights(result.checkpoint), want, 1e-5);
  EXPECT_NE(saved(result.checkpoint, "w/DGC").flat<float>()(0), saved(result.checkpoint, "w/DGC_2").flat<float>()(0));
}

TEST_F(Precision, FrozenVariablesStay) {
  TempDir dir;
  set_flag("trainable_exclude_patterns", "^w$");
  EXPECT_EQ(saved(run(toy_options(dir.path(), 5)).checkpoint, "w").flat<float>()(2), 0.1f);
  EXPECT_NE(saved(dir.path("model.ckpt-5"), "b").flat<float>()(0), 0.f);
}

TEST_F(Precision, UseFp16ComputesIn16BitsOn32BitVariables) {
  TempDir wide, narrow;
  const std::vector<float> want = weights(run(toy_options(wide.path(), 10)).checkpoint);
  set_flag("use_fp16", true);
  const std::vector<float> got = weights(run(toy_options(narrow.path(), 10)).checkpoint);
  expect_close(got, want, 0.02);
  float difference = 0;
  for (size_t i = 0; i < got.size(); ++i) difference = std::max(difference, std::abs(got[i] - want[i]));
  EXPECT_GT(difference, 1e-5) << "nothing was computed in 16 bits";
}

}  // namespace
}  // namespace mox
