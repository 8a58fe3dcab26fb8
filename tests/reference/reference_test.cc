// Our networks against TF-slim's own under TensorFlow 1.15: the same weights and images on both sides. What theirs gave
// is in results.json, written by tf_slim_reference.py.
//
// MOX_REFERENCE_CHECKPOINTS=DIR restores the checkpoints that the script wrote instead of computing the weights.
// MOX_REFERENCE_REPORT=FILE writes the errors that were found, a line a network.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "graph/graph_session.h"
#include "moxing/losses.h"
#include "moxing/nets.h"
#include "tensorflow/cc/framework/gradients.h"
#include "tensorflow/cc/ops/io_ops.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace mox {
namespace {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;
using nlohmann::json;
using tf::Output;

constexpr int kTrainBatch = 4;
constexpr float kWeightDecay = 4e-5f;
constexpr float kAuxWeight = 0.4f;

const json& results() {
  static const json parsed = [] {
    std::ifstream file(MOX_REFERENCE_RESULTS);
    EXPECT_TRUE(file) << MOX_REFERENCE_RESULTS;
    return parse_json({std::istreambuf_iterator<char>(file), {}});
  }();
  return parsed;
}

void report(const std::string& line) {
  if (const char* path = std::getenv("MOX_REFERENCE_REPORT")) std::ofstream(path, std::ios::app) << line << "\n";
}

// The script's `uniform`, scaled to [low, high): splitmix64 of FNV-1a(name) and a counter.
void fill(tf::Tensor& tensor, const std::string& name, double low, double high) {
  uint64_t state = 14695981039346656037ull;
  for (unsigned char c : name) state = (state ^ c) * 1099511628211ull;
  float* data = tensor.flat<float>().data();
  const int64_t count = tensor.NumElements();
  for (int64_t i = 0; i < count; ++i) {
    uint64_t z = (state += 0x9E3779B97F4A7C15ull);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    z ^= z >> 31;
    data[i] = static_cast<float>(low + (high - low) * (static_cast<double>(z >> 40) / (1 << 24)));
  }
}

// The script's `values`.
tf::Tensor value_of(const Variable& v) {
  tf::Tensor tensor(tf::DT_FLOAT, v.shape);
  const std::string kind = v.name.substr(v.name.rfind('/') + 1);
  if (kind == "gamma") {
    fill(tensor, v.name, 0.5, 1);
  } else if (kind == "moving_variance") {
    fill(tensor, v.name, 0.5, 1.5);
  } else if (kind == "biases" || kind == "beta" || kind == "moving_mean") {
    fill(tensor, v.name, -0.1, 0.1);
  } else {
    double fan_in = 1;
    const int summed = v.shape.dims() - (kind == "depthwise_weights" ? 2 : 1);
    for (int i = 0; i < summed; ++i) fan_in *= v.shape.dim_size(i);
    fill(tensor, v.name, -std::sqrt(6 / fan_in), std::sqrt(6 / fan_in));
  }
  return tensor;
}

tf::Tensor images_of(const std::string& name, int batch) {
  const ModelMeta meta = get_model_meta(name);
  const int size = meta.default_image_size;
  tf::Tensor tensor(tf::DT_FLOAT, {batch, size, size, meta.default_channels});
  fill(tensor, "images", -1, 1);
  return tensor;
}

int classes_of(const std::string& name) { return get_model_meta(name).default_image_size <= 32 ? 10 : 1000; }

tf::Tensor as_double(const tf::Tensor& t) {
  tf::Tensor wide(tf::DT_DOUBLE, t.shape());
  wide.flat<double>() = t.flat<float>().cast<double>();
  return wide;
}

// Operations that give the variables their values, and what must be fed for that.
struct Loader {
  std::vector<std::string> targets;
  GraphSession::Feeds feeds;

  Loader(const Scope& scope, const std::string& network) {
    const char* folder = std::getenv("MOX_REFERENCE_CHECKPOINTS");
    for (const Variable& v : global_variables(scope)) {
      Output value;
      if (folder) {
        const std::string prefix = std::string(folder) + "/" + network + "/model.ckpt";
        value = ops::RestoreV2(scope, prefix, ops::Const(scope, {tf::tstring(v.name)}),
                               ops::Const(scope, {tf::tstring("")}), {tf::DT_FLOAT})
                    .tensors[0];
        if (v.dtype != tf::DT_FLOAT) value = ops::Cast(scope, value, v.dtype);
      } else {
        value = ops::Placeholder(scope, v.dtype);
        const tf::Tensor number = value_of(v);
        feeds.emplace_back(value.node()->name(), v.dtype == tf::DT_DOUBLE ? as_double(number) : number);
      }
      targets.push_back(ops::AssignVariableOp(scope, v.handle, value).operation.node()->name());
    }
  }
};

double logits_error(const json& expected, const tf::Tensor& logits) {
  const int step = expected.at("class_step");
  double error = 0, largest = 0;
  for (int row = 0; row < 2; ++row)
    for (size_t i = 0; i < expected.at("logits")[row].size(); ++i) {
      const double theirs = expected.at("logits")[row][i];
      error = std::max(error, std::fabs(logits.matrix<float>()(row, i * step) - theirs));
      largest = std::max(largest, std::fabs(theirs));
    }
  return error / largest;
}

double norm(const tf::Tensor& t) {
  double sum = 0;
  for (int64_t i = 0; i < t.NumElements(); ++i) sum += std::pow(static_cast<double>(t.flat<float>()(i)), 2);
  return std::sqrt(sum);
}

class Reference : public testing::TestWithParam<std::string> {};

TEST_P(Reference, LogitsInEval) {
  const std::string name = GetParam();
  const json& expected = results().at("evaluate").at(name);
  Scope scope = Scope::new_root();
  const tf::Tensor images = images_of(name, 2);
  const Output x = ops::Placeholder(scope.WithOpName("images"), tf::DT_FLOAT, ops::Placeholder::Shape(images.shape()));
  const NetworkOutput output =
      get_model_fn(name, ModeKeys::EVAL, classes_of(name), {.batch_norm_fused = true})(scope, x);
  Loader loader(scope, name);
  GraphSession session(scope, /*initialize=*/false);
  session.run({}, loader.feeds, loader.targets);
  loader.feeds.clear();
  const tf::Tensor logits = session.run_one(output.logits, {{"images", images}});
  const double error = logits_error(expected, logits);
  char line[200];
  std::snprintf(line, sizeof line, "%s logits %.2g", name.c_str(), error);
  report(line);
  EXPECT_LT(error, 1e-4);
  EXPECT_NEAR(norm(logits) / expected.at("norm").get<double>(), 1, 1e-4);
}

std::vector<std::string> names_of(const char* part) {
  std::vector<std::string> names;
  for (const auto& [name, facts] : results().at(part).items()) names.push_back(name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(All, Reference, testing::ValuesIn(names_of("evaluate")),
                         [](const auto& p) { return p.param; });

Output training_loss(const Scope& scope, const NetworkOutput& output, int classes) {
  tf::Tensor labels(tf::DT_INT32, {kTrainBatch});
  for (int i = 0; i < kTrainBatch; ++i) labels.flat<int>()(i) = (7 * i + 3) % classes;
  const Output l = ops::Const(scope, tf::Input::Initializer(labels));
  Output loss = losses::sparse_softmax_cross_entropy(scope, l, output.logits);
  if (output.has("AuxLogits"))
    loss = ops::Add(scope, loss,
                    losses::sparse_softmax_cross_entropy(scope, l, output["AuxLogits"], {.weight = kAuxWeight}));
  return losses::add_regularization(scope, loss);
}

class TrainingReference : public testing::TestWithParam<std::string> {};

// In double precision on both sides: in single precision the rounding of the forward pass flips ReLUs that are close to
// 0, which alone moves some norms by a percent. That the fused kernels' gradients are the plain ones', gradients_test
// shows.
TEST_P(TrainingReference, LossAndGradientNorms) {
  const std::string name = GetParam();
  const json& expected = results().at("train").at(name);
  Scope scope = Scope::new_root();
  const tf::Tensor images = as_double(images_of(name, kTrainBatch));
  const Output x = ops::Placeholder(scope.WithOpName("images"), tf::DT_DOUBLE, ops::Placeholder::Shape(images.shape()));
  const NetworkOutput output = get_model_fn(name, ModeKeys::TRAIN, classes_of(name),
                                            {.weight_decay = kWeightDecay, .dropout_keep_prob = 1})(scope, x);
  const Output loss = training_loss(scope, output, classes_of(name));
  std::vector<Output> handles, gradients, fetches = {loss};
  std::vector<std::string> names;
  for (const Variable& v : global_variables(scope))
    if (v.trainable) handles.push_back(v.handle), names.push_back(v.name);
  const auto status = tf::AddSymbolicGradients(scope, {loss}, handles, &gradients);
  ASSERT_TRUE(status.ok()) << status.message();
  for (const Output& gradient : gradients)
    fetches.push_back(ops::Sqrt(scope, ops::Multiply(scope, ops::L2Loss(scope, gradient), ops::Const(scope, 2.0))));
  Loader loader(scope, name);
  GraphSession session(scope, /*initialize=*/false);
  session.run({}, loader.feeds, loader.targets);
  loader.feeds.clear();
  const auto values = session.run(fetches, {{"images", images}});
  ASSERT_EQ(values.size(), fetches.size());
  const double loss_error = std::fabs(values[0].scalar<float>()() / expected.at("loss").get<double>() - 1);
  EXPECT_LT(loss_error, 1e-3);
  EXPECT_EQ(names.size(), expected.at("gradient_norms").size());
  double worst = 0;
  for (size_t i = 0; i < names.size(); ++i) {
    const double theirs = expected.at("gradient_norms").at(names[i]), ours = values[i + 1].scalar<double>()();
    const double error = std::fabs(ours - theirs) / std::max(theirs, 1e-8);
    worst = std::max(worst, error);
    EXPECT_LT(error, 1e-3) << names[i] << ": theirs " << theirs << ", ours " << ours;
  }
  char line[200];
  std::snprintf(line, sizeof line, "%s loss %.2g gradients %.2g", name.c_str(), loss_error, worst);
  report(line);
}

INSTANTIATE_TEST_SUITE_P(All, TrainingReference, testing::ValuesIn(names_of("train")),
                         [](const auto& p) { return p.param; });

}  // namespace
}  // namespace mox
