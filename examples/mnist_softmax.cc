// The manual's first script in C++: softmax regression on MNIST or Fashion-MNIST.
//   mnist_softmax --data_url=DIR --train_url=DIR [--steps=1000] [MoXing's flags, e.g. --num_gpus=2]
#include <iostream>
#include <map>

#include "moxing/moxing.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace ops = tensorflow::ops;
using tensorflow::Output;

int main(int argc, char** argv) try {
  std::map<std::string, std::string> flags = {
      {"data_url", "/usr/share/datasets/fashion-mnist"}, {"train_url", ""}, {"steps", "1000"}};
  for (const std::string& arg : mox::parse_flags({argv + 1, argv + argc})) {
    const size_t equals = arg.find('=');
    if (equals == std::string::npos || arg.rfind("--", 0) != 0 || !flags.count(arg.substr(2, equals - 2)))
      throw mox::InvalidArgumentError("usage: mnist_softmax --data_url=DIR --train_url=DIR [--steps=N]; got " + arg);
    flags[arg.substr(2, equals - 2)] = arg.substr(equals + 1);
  }

  auto input_fn = [&](const mox::Scope& s, mox::ModeKeys mode) {
    auto data = mox::get_dataset("mnist", "train", flags["data_url"], {.batch_size = 100})->get(s, {"image", "label"});
    Output pixels = ops::Cast(s, ops::Reshape(s, data[0], {-1, 784}), tensorflow::DT_FLOAT);
    return std::vector<Output>{ops::Multiply(s, pixels, 1.f / 255), mox::layers::one_hot_encoding(s, data[1], 10)};
  };
  auto model_fn = [](const mox::Scope& s, const std::vector<Output>& inputs, mox::ModeKeys mode) {
    Output w = s.get_variable("W", {784, 10}, {.initializer = mox::zeros_initializer()});
    Output b = s.get_variable("b", {10}, {.initializer = mox::zeros_initializer()});
    Output y = ops::Add(s, ops::MatMul(s, inputs[0], w), b);
    Output cross_entropy = ops::Mean(s, ops::SoftmaxCrossEntropyWithLogits(s, y, inputs[1]).loss, 0);
    Output hits = ops::Equal(s, ops::ArgMax(s, y, 1), ops::ArgMax(s, inputs[1], 1));
    Output accuracy = ops::Mean(s, ops::Cast(s, hits, tensorflow::DT_FLOAT), 0);
    return mox::ModelSpec{.loss = cross_entropy,
                          .log_info = {{"loss", cross_entropy}, {"accuracy", accuracy}},
                          .export_spec = mox::ExportSpec{{{"images", inputs[0]}}, {{"logits", y}}}};
  };

  mox::run({.input_fn = input_fn,
            .model_fn = model_fn,
            .optimizer_fn = mox::get_optimizer_fn("sgd", 0.5),
            .run_mode = mox::ModeKeys::TRAIN,
            .batch_size = 100,
            .auto_batch = false,
            .log_dir = flags["train_url"],
            .max_number_of_steps = std::stoll(flags["steps"]),
            .log_every_n_steps = 100,
            .export_model = mox::export_keys::TF_SERVING});
  return 0;
} catch (const std::exception& e) {
  std::cerr << "mnist_softmax: " << e.what() << "\n";
  return 1;
}
