// A program as a user of several workers would write it, for tests/cli/test_cluster*.py: a small convolutional network
// (or a GAN) on samples that are known by number. What each step had goes to --out, a JSON object a line and device.
//   cluster_worker --out=FILE [--log_dir=DIR] [--steps=N] [--mode=TRAIN|EVAL|PREDICT] [--model=conv|norm|gan|dropout]
//     [--optimizer=momentum|lars|batch_gradients|batch_gradients_sync|dgc] [--input=own|user|synthetic] [--samples=N]
//     [--eval_every=STEPS] [--plateau=N] [--patience=N] [--epochs=N] [--batch_size=N] [--step_ms=N] [--stop_at=STEP]
//     [--fail_at=STEP] [--broken=SAMPLE] [--gate=FILE] [--ballast_mb=N] [MoXing's flags]
// gate: who reads sample 25 opens this file. ballast_mb: so much in each checkpoint that no step touches.
#include <unistd.h>

#include <cmath>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "moxing/dataset_graph.h"
#include "moxing/moxing.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace layers = mox::layers;
namespace ops = tensorflow::ops;
using mox::ModeKeys;
using mox::Scope;
using tensorflow::Output;
using Flags = std::map<std::string, std::string>;

namespace {

Flags parse(int argc, char** argv) {
  Flags flags = {{"out", ""},         {"log_dir", ""},     {"steps", "20"},   {"mode", "TRAIN"},  {"model", "conv"},
                 {"optimizer", ""},   {"input", "own"},    {"samples", "64"}, {"epochs", "0"},    {"batch_size", "8"},
                 {"broken", "-1"},    {"step_ms", "0"},    {"stop_at", "-1"}, {"fail_at", "-1"},  {"seed", "7"},
                 {"shuffle", "0"},    {"save_steps", "5"}, {"rate", "0.02"},  {"gate", ""},       {"every", "0"},
                 {"eval_every", "0"}, {"plateau", "0"},    {"patience", "0"}, {"ballast_mb", "0"}};
  for (const std::string& arg : mox::parse_flags({argv + 1, argv + argc})) {
    const size_t equals = arg.find('=');
    if (equals == std::string::npos || !flags.count(arg.substr(2, equals - 2)))
      throw mox::InvalidArgumentError("cluster_worker does not know " + arg);
    flags[arg.substr(2, equals - 2)] = arg.substr(equals + 1);
  }
  return flags;
}

int64_t number(const Flags& flags, const char* name) { return std::stoll(flags.at(name)); }

mox::data::DatasetNode op(const Scope& s, const mox::data::DatasetNode& input, const char* name,
                          std::vector<Output> inputs) {
  return mox::data::dataset_op(s, &input, {.op = name, .inputs = std::move(inputs), .types = {}, .shapes = {}});
}

// A user's own tf.data: shuffled without a seed where that is asked for, and repeated.
class UserInput : public mox::Dataset {
 public:
  explicit UserInput(const Flags& flags) : flags_(flags) {}
  std::vector<std::string> keys() const override { return {"number"}; }
  std::vector<std::string> class_names() const override { return {}; }
  int64_t num_samples() const override { return number(flags_, "samples"); }

 protected:
  Pipeline build(const Scope& s, const std::vector<std::string>&) override {
    mox::data::DatasetNode node = mox::data::range(s, int64_t{0}, num_samples(), 1);
    if (number(flags_, "shuffle"))
      node = op(s, node, "ShuffleDataset",
                {ops::Const<int64_t>(s, 1000), ops::Const<int64_t>(s, 0), ops::Const<int64_t>(s, 0)});
    const int64_t epochs = number(flags_, "epochs");
    if (epochs != 1) node = op(s, node, "RepeatDataset", {ops::Const<int64_t>(s, epochs > 0 ? epochs : -1)});
    return {mox::data::prefetch(s, node, 4)};
  }

 private:
  const Flags& flags_;
};

Output sample_number(const Scope& s, const Flags& flags) {
  if (flags.at("input") == "synthetic") return ops::Const(s, int64_t{3});
  if (flags.at("input") == "user") return std::make_unique<UserInput>(flags)->get(s, {"number"})[0];
  tensorflow::Tensor numbers(tensorflow::DT_INT64, {number(flags, "samples")});
  for (int64_t i = 0; i < numbers.NumElements(); ++i) numbers.vec<int64_t>()(i) = i;
  return mox::make_tensor_dataset({{"number", numbers}}, {},
                                  {.shuffle = number(flags, "shuffle") != 0, .num_epochs = number(flags, "epochs")})
      ->get(s, {"number"})[0];
}

// (number, image, label): the image is a wave that the number decides.
std::vector<Output> input(const Scope& s, const Flags& flags) {
  const Output sample = sample_number(s, flags);
  tensorflow::Tensor phases(tensorflow::DT_FLOAT, {8, 8, 1});
  for (int i = 0; i < 64; ++i) phases.flat<float>()(i) = 0.37f * static_cast<float>(i);
  const Output as_float = ops::Cast(s, sample, tensorflow::DT_FLOAT);
  // A sample whose image is no number: reading it fails.
  const Output broken = ops::Cast(s, ops::Equal(s, sample, number(flags, "broken")), tensorflow::DT_FLOAT);
  const Output waves = ops::Sin(s, ops::Add(s, ops::Multiply(s, as_float, 1.7f), ops::Const(s, phases)));
  Output image = ops::CheckNumerics(s, ops::Add(s, waves, ops::Log(s, ops::Sub(s, 1.f, broken))), "a broken image");
  if (!flags.at("gate").empty()) {
    const Output path =
        ops::SelectV2(s, ops::Equal(s, sample, int64_t{25}), flags.at("gate"), std::string("/dev/null"));
    image = ops::Add(s, image, ops::Cast(s, ops::StringLength(s, ops::ReadFile(s, path)), tensorflow::DT_FLOAT));
  }
  return {sample, image, ops::FloorMod(s, sample, int64_t{4})};
}

class Writer : public mox::AggregativeSessionRunHook {
 public:
  Writer(const Flags& flags, int device, std::vector<mox::Fetch> fetches)
      : flags_(flags), device_(device), fetches_(std::move(fetches)) {}
  bool support_sync_workers() const override { return true; }
  mox::SessionRunArgs before_run(mox::SessionRunContext& context) override {
    if (context.local_step() == number(flags_, "fail_at")) throw mox::RunError("the disk is full");
    return {fetches_, {}};
  }
  void after_run(mox::SessionRunContext& context, const mox::SessionRunValues& values) override {
    nlohmann::ordered_json line = {
        {"local", context.local_step()}, {"step", context.global_step()}, {"device", device_}};
    const auto& samples = values.results[0];
    for (int64_t i = 0; i < samples.NumElements(); ++i) line["samples"].push_back(samples.flat<int64_t>()(i));
    for (size_t i = 1; i < values.results.size(); ++i) line["losses"].push_back(values.results[i].flat<float>()(0));
    std::ofstream(flags_.at("out"), std::ios::app) << line.dump() << "\n";
    usleep(static_cast<useconds_t>(1000 * number(flags_, "step_ms")));
    if (context.local_step() == number(flags_, "stop_at")) context.request_stop();
  }

 private:
  const Flags& flags_;
  const int device_;
  const std::vector<mox::Fetch> fetches_;
};

Output network(const Scope& outer, const Output& images, const std::string& kind, bool training) {
  const Scope s = outer.var_scope("net");
  layers::Normalizer normalizer;
  if (kind == "norm") normalizer = layers::batch_normalizer({.decay = 0.9f, .scale = true, .is_training = training});
  Output x = layers::conv2d(s, images, 4, 3, "conv", {.stride = 2, .normalizer = normalizer});
  if (kind == "dropout") x = layers::dropout(s, x, 0.5f, training);
  return layers::fully_connected(s, layers::flatten(s, x), 4, "logits", {.activation = {}});
}

mox::ModelSpec model(const Scope& s, const std::vector<Output>& inputs, ModeKeys mode, const Flags& flags, int device) {
  const Output logits = network(s, inputs[1], flags.at("model"), mode == ModeKeys::TRAIN);
  if (const int64_t megabytes = number(flags, "ballast_mb"))
    s.get_variable("ballast", {megabytes << 18}, {.trainable = false});
  Output loss = mox::losses::sparse_softmax_cross_entropy(s, inputs[2], logits);
  mox::ModelSpec spec{.loss = loss, .log_info = {{"loss", loss}}};
  spec.output_info = {{"number", inputs[0]}, {"logits", logits}};
  std::vector<mox::Fetch> fetches = {inputs[0], loss};
  if (flags.at("model") == "gan") {  // a second loss, with variables of its own
    const Scope other = s.var_scope("other");
    const Output guess = layers::fully_connected(other, layers::flatten(other, inputs[1]), 1, "guess", {});
    const Output second = ops::Mean(s, ops::Square(s, ops::Sub(s, guess, 1.f)), {0, 1});
    spec.loss = {loss, second};
    spec.var_scopes = {{"net"}, {"other"}};
    fetches.push_back(second);
  }
  if (!flags.at("out").empty()) spec.hooks = {std::make_shared<Writer>(flags, device, fetches)};
  return spec;
}

mox::OptimizerFn optimizer(const Flags& flags) {
  const std::string& name = flags.at("optimizer");
  const mox::OptimizerFn momentum = mox::get_optimizer_fn("momentum", std::stof(flags.at("rate")), {.momentum = 0.9f});
  if (name.empty() || name == "momentum") return momentum;
  mox::OptimizerWrapperOptions options;
  if (name.rfind("batch_gradients", 0) == 0) {
    options.num_batches = 2;
    options.sync_on_apply = name == "batch_gradients_sync";
    return mox::get_optimizer_wrapper_fn("batch_gradients", momentum, options);
  }
  return mox::get_optimizer_wrapper_fn(name, momentum, options);
}

}  // namespace

int main(int argc, char** argv) try {
  const Flags flags = parse(argc, argv);
  const ModeKeys mode = flags.at("mode") == "TRAIN"  ? ModeKeys::TRAIN
                        : flags.at("mode") == "EVAL" ? ModeKeys::EVAL
                                                     : ModeKeys::PREDICT;
  int devices = 0;
  mox::RunOptions options{
      .input_fn = [&](const Scope& s, ModeKeys) { return input(s, flags); },
      .model_fn = [&](const Scope& s, const std::vector<Output>& inputs,
                      ModeKeys m) { return model(s, inputs, m, flags, devices++); },
      .run_mode = mode,
      .batch_size = number(flags, "batch_size"),
      .max_number_of_steps = number(flags, "steps"),
      .log_every_n_steps = 5,
      .output_every_n_steps = number(flags, "every"),
      .random_seed = number(flags, "seed"),
  };
  nlohmann::ordered_json numbers = nlohmann::ordered_json::array();
  if (mode == ModeKeys::PREDICT)
    options.output_fn = [&](const std::vector<mox::OutputDict>& outputs) {
      for (const auto& dict : outputs)
        for (int64_t i = 0; i < dict.at("number").NumElements(); ++i)
          numbers.push_back(dict.at("number").flat<int64_t>()(i));
    };
  (mode == ModeKeys::TRAIN ? options.log_dir : options.checkpoint_path) = flags.at("log_dir");
  if (mode == ModeKeys::TRAIN) {
    options.optimizer_fn = optimizer(flags);
    options.save_model_steps = number(flags, "save_steps");
    options.eval_every_n_steps = number(flags, "eval_every");
    options.plateau_patience = number(flags, "plateau");
    options.early_stopping_patience = number(flags, "patience");
    if (options.eval_every_n_steps > 0) {
      options.eval_steps = 4;
      options.keep_best = "loss";
      options.keep_best_mode = "max";  // so that there is no gain, whatever the batches are
    }
  }
  const mox::RunResult result = mox::run(options);
  nlohmann::ordered_json j = {{"steps", result.steps},
                              {"global_step", result.global_step},
                              {"checkpoint", result.checkpoint},
                              {"interrupted", result.interrupted},
                              {"numbers", numbers}};
  for (const auto& [name, value] : result.metrics) j[name] = value;
  std::cout << j.dump() << std::endl;
  return result.interrupted ? 1 : 0;
} catch (const std::exception& e) {
  std::cerr << "cluster_worker: " << e.what() << "\n";
  return 1;
}
