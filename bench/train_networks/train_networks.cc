// Training steps of a network on synthetic images: what compare.py runs against Keras and PyTorch.
//   train_networks NETWORK float32|bfloat16 BATCH STEPS LOG_DIR [MoXing's flags]
// One image size (the network's), 1,000 classes, momentum 0.9, L2 1e-4, fused batch norm: the peers do the same.
#include <chrono>
#include <cstdio>
#include <iostream>

#include "moxing/moxing.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace ops = tensorflow::ops;
namespace tf = tensorflow;
using tensorflow::Output;

namespace {

struct Settings {
  std::string network;
  tf::DataType dtype = tf::DT_FLOAT;
  int batch = 16;
  int64_t steps = 8;
  int64_t trace_step = -1;
  std::string log_dir;
};

std::vector<Output> synthetic_batch(const mox::Scope& s, const Settings& settings) {
  const int size = mox::get_model_meta(settings.network).default_image_size;
  tf::Tensor images(tf::DT_FLOAT, {settings.batch, size, size, 3});
  tf::Tensor labels(tf::DT_INT32, {settings.batch});
  uint32_t state = 1;
  for (int64_t i = 0; i < images.NumElements(); ++i)
    images.flat<float>()(i) = static_cast<float>((state = state * 1664525u + 1013904223u) >> 8) / (1 << 23) - 1;
  for (int i = 0; i < settings.batch; ++i) labels.flat<int32_t>()(i) = i * 37 % 1000;
  return {ops::Const(s, tf::Input::Initializer(images)), ops::Const(s, tf::Input::Initializer(labels))};
}

mox::ModelSpec model(const mox::Scope& s, const std::vector<Output>& inputs, mox::ModeKeys mode,
                     const Settings& settings) {
  const auto network =
      mox::get_model_fn(settings.network, mode, 1000, {.weight_decay = 1e-4f, .batch_norm_fused = true});
  Output logits;
  if (settings.dtype == tf::DT_FLOAT) {
    logits = network(s, inputs[0]).logits;
  } else {
    const mox::Scope half = s.var_scope(tf::DT_FLOAT);
    logits = ops::Cast(s, network(half, ops::Cast(half, inputs[0], settings.dtype)).logits, tf::DT_FLOAT);
  }
  const Output cross_entropy = ops::Mean(s, ops::SparseSoftmaxCrossEntropyWithLogits(s, logits, inputs[1]).loss, 0);
  std::vector<Output> losses{cross_entropy};
  for (const Output& term : s.get_collection(mox::collections::kRegularizationLosses)) losses.push_back(term);
  const Output loss = ops::AddN(s, losses);
  return {.loss = loss, .log_info = {{"loss", loss}}};
}

}  // namespace

int main(int argc, char** argv) try {
  const std::vector<std::string> args = mox::parse_flags({argv + 1, argv + argc});
  if (args.size() < 5) {
    std::cerr << "usage: train_networks NETWORK float32|bfloat16 BATCH STEPS LOG_DIR [TRACE_STEP]\n";
    return 2;
  }
  Settings settings{.network = args[0], .dtype = args[1] == "bfloat16" ? tf::DT_BFLOAT16 : tf::DT_FLOAT};
  settings.batch = std::stoi(args[2]);
  settings.steps = std::stoll(args[3]);
  settings.log_dir = args[4];
  if (args.size() > 5) settings.trace_step = std::stoll(args[5]);
  const auto start = std::chrono::steady_clock::now();
  mox::run({.input_fn = [&](const mox::Scope& s, mox::ModeKeys) { return synthetic_batch(s, settings); },
            .model_fn = [&](const mox::Scope& s, const std::vector<Output>& inputs,
                            mox::ModeKeys mode) { return model(s, inputs, mode, settings); },
            .optimizer_fn = mox::get_optimizer_fn("momentum", 0.001),
            .run_mode = mox::ModeKeys::TRAIN,
            .batch_size = settings.batch,
            .auto_batch = false,
            .log_dir = settings.log_dir,
            .max_number_of_steps = settings.steps,
            .log_every_n_steps = 1,
            .save_summary_steps = 0,
            .save_model_secs = 0,
            .trace_step = settings.trace_step,
            .begin_fn =
                [&] {
                  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
                  std::printf("graph built and initialized: %.2f s\n", passed.count());
                }});
  return 0;
} catch (const std::exception& e) {
  std::cerr << "train_networks: " << e.what() << "\n";
  return 1;
}
