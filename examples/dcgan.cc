// A DCGAN on Fashion-MNIST: two losses, each with its own variables and optimizer, in one step.
//   dcgan --data_url=DIR --train_url=DIR [--steps=1000] [MoXing's flags, e.g. --num_gpus=2]
// `distance` in the log judges the images without the discriminator: how far the mean and the spread of each pixel are
// from those of the real batch.
#include <iostream>
#include <map>

#include "moxing/moxing.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace layers = mox::layers;
namespace ops = tensorflow::ops;
using mox::Scope;
using tensorflow::Output;

namespace {

Output leaky_relu(const Scope& s, const Output& x) { return ops::Maximum(s, x, ops::Multiply(s, x, 0.2f)); }

Output generator(const Scope& outer, const Output& noise) {
  const Scope s = outer.var_scope("generator");
  const layers::Normalizer norm = layers::batch_normalizer({.decay = 0.9f, .scale = true, .fused = true});
  Output x = layers::fully_connected(s, noise, 7 * 7 * 64, "seed", {.activation = {}});
  x = layers::relu(s, norm(s, ops::Reshape(s, x, {-1, 7, 7, 64})));
  x = layers::conv2d_transpose(s, x, 32, 4, "up_14", {.stride = 2, .normalizer = norm});
  return layers::conv2d_transpose(s, x, 1, 4, "up_28", {.stride = 2, .activation = layers::tanh});
}

Output discriminator(const Scope& outer, const Output& images) {
  const Scope s = outer.var_scope("discriminator");
  Output x = layers::conv2d(s, images, 32, 4, "down_14", {.stride = 2, .activation = leaky_relu});
  x = layers::conv2d(s, x, 64, 4, "down_7", {.stride = 2, .activation = leaky_relu});
  return layers::fully_connected(s, layers::flatten(s, x), 1, "judge", {.activation = {}});
}

// The loss of a discriminator that should have said `real` (1) or not (0).
Output judged(const Scope& s, const Output& logits, float real) {
  Output labels = ops::Fill(s, ops::Shape(s, logits), real);
  return mox::losses::sigmoid_cross_entropy(s, labels, logits);
}

Output distance(const Scope& s, const Output& a, const Output& b) {
  auto mean = [&](const Output& x) { return Output(ops::Mean(s, x, 0)); };
  auto spread = [&](const Output& x) {
    return Output(ops::Sqrt(s, ops::Mean(s, ops::SquaredDifference(s, x, ops::Mean(s, x, 0)), 0)));
  };
  auto apart = [&](const Output& x, const Output& y) {
    return ops::Mean(s, ops::Abs(s, ops::Sub(s, x, y)), {0, 1, 2});
  };
  return ops::Add(s, apart(mean(a), mean(b)), apart(spread(a), spread(b)));
}

}  // namespace

int main(int argc, char** argv) try {
  std::map<std::string, std::string> flags = {
      {"data_url", "/usr/share/datasets/fashion-mnist"}, {"train_url", ""}, {"steps", "1000"}};
  for (const std::string& arg : mox::parse_flags({argv + 1, argv + argc})) {
    const size_t equals = arg.find('=');
    if (equals == std::string::npos || arg.rfind("--", 0) != 0 || !flags.count(arg.substr(2, equals - 2)))
      throw mox::InvalidArgumentError("usage: dcgan --data_url=DIR --train_url=DIR [--steps=N]; got " + arg);
    flags[arg.substr(2, equals - 2)] = arg.substr(equals + 1);
  }

  auto input_fn = [&](const Scope& s, mox::ModeKeys) {
    Output image = mox::get_dataset("fashion_mnist", "train", flags["data_url"])->get(s, {"image"})[0];
    image = ops::Cast(s, ops::Reshape(s, image, {28, 28, 1}), tensorflow::DT_FLOAT);
    return std::vector<Output>{ops::Sub(s, ops::Div(s, image, 127.5f), 1.f)};
  };
  auto model_fn = [](const Scope& s, const std::vector<Output>& inputs, mox::ModeKeys) {
    const Output& real = inputs[0];
    Output fake = generator(s, ops::RandomNormal(s, {64, 100}, tensorflow::DT_FLOAT));
    Output of_real = discriminator(s, real), of_fake = discriminator(s.reuse_variables(), fake);
    Output d_loss = ops::Add(s, judged(s, of_real, 0.9f), judged(s, of_fake, 0));
    Output g_loss = judged(s, of_fake, 1);
    return mox::ModelSpec{.loss = {d_loss, g_loss},
                          .var_scopes = {{"discriminator"}, {"generator"}},
                          .log_info = {{"D_loss", d_loss}, {"G_loss", g_loss}, {"distance", distance(s, real, fake)}}};
  };

  const mox::OptimizerFn adam = mox::get_optimizer_fn("adam", 2e-4, {.beta1 = 0.5f});
  mox::run({.input_fn = input_fn,
            .model_fn = model_fn,
            .optimizer_fn = {adam, adam},
            .batch_size = 64,
            .log_dir = flags["train_url"],
            .max_number_of_steps = std::stoll(flags["steps"]),
            .log_every_n_steps = 50});
  return 0;
} catch (const std::exception& e) {
  std::cerr << "dcgan: " << e.what() << "\n";
  return 1;
}
