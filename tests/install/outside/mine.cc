// A plugin: a network, an optimizer, a preprocessing and a data set of somebody else.
#include <moxing/dataset_graph.h>
#include <moxing/layers.h>
#include <moxing/nets.h>
#include <moxing/plugin.h>
#include <moxing/preprocessing.h>
#include <moxing/slot_optimizer.h>
#include <tensorflow/cc/ops/standard_ops.h>

namespace {

namespace ops = tensorflow::ops;
using tensorflow::Output;

// A network: one convolution and a dense layer.
mox::NetworkOutput tiny(const mox::Scope& scope, const Output& images, const mox::NetworkParams& params) {
  const mox::Scope s = scope.var_scope("Tiny");
  mox::layers::Conv2dOptions conv;
  conv.data_format = params.options.data_format;
  conv.weight_decay = params.options.weight_decay;
  const Output hidden = mox::layers::conv2d(s, images, 8, 3, "conv", conv);
  mox::layers::FullyConnectedOptions dense;
  dense.activation = nullptr;
  dense.weight_decay = params.options.weight_decay;
  const Output flat = mox::layers::flatten(s, hidden, "flatten", params.options.data_format);
  const Output logits = mox::layers::fully_connected(s, flat, params.num_classes, "logits", dense);
  return {logits, {{"conv", hidden}, {"logits", logits}}};
}

// An optimizer: only the sign of a gradient counts.
class SignDescent : public mox::SlotOptimizer {
 public:
  SignDescent(const mox::Scope& scope, const mox::LearningRate& rate) : SlotOptimizer("SignDescent", scope, rate) {}

 protected:
  tensorflow::Operation update(const mox::Scope& scope, const Output& gradient,
                               const mox::Variable& variable) override {
    return ops::ResourceApplyGradientDescent(scope, variable.handle, rate(scope, variable.dtype),
                                             ops::Sign(scope, gradient))
        .operation;
  }
};

// A preprocessing: -1 to 1, of the size that is asked for.
Output centered(const mox::Scope& scope, const Output& image, const mox::PreprocessingRequest& request) {
  const Output one = ops::ExpandDims(scope, image, 0);
  const Output resized = ops::ResizeBilinear(scope, one, {request.height, request.width});
  const Output pixels = ops::Squeeze(scope, resized, ops::Squeeze::Axis({0}));
  return ops::Subtract(scope, ops::Div(scope, pixels, 127.5f), 1.0f);
}

// A data set: images of 8x8 pixels with stripes, upright (class 0) or level (class 1).
class Stripes : public mox::Dataset {
 public:
  Stripes(int64_t num_samples, const mox::DatasetMeta& meta, bool train, const mox::DatasetOptions& options)
      : num_samples_(num_samples), names_(meta.class_names), train_(train), options_(options) {}

  std::vector<std::string> keys() const override { return {"image", "label"}; }
  int64_t num_samples() const override { return num_samples_; }
  std::vector<std::string> class_names() const override { return names_; }

 protected:
  Pipeline build(const mox::Scope& scope, const std::vector<std::string>& keys) override {
    // Epochs, shuffling, shards and resuming: the order of the numbers. What follows makes samples of numbers.
    auto order = mox::data::checked_order(scope, options_, num_samples_, options_.shuffle.value_or(train_));
    order.resumes = true;
    const bool batches = options_.batch_size > 0;
    auto node = mox::data::sample_numbers(scope, order, batches ? options_.batch_size : 64, options_.drop_remainder);
    node = mox::data::map(scope, node, [keys](const mox::Scope& s, const std::vector<Output>& element, const auto&) {
      const Output labels = ops::FloorMod(s, element[0], ops::Const<int64_t>(s, 2));
      std::vector<Output> sample;
      for (const std::string& key : keys)
        sample.push_back(key == "label" ? labels : Output(ops::GatherV2(s, ops::Const(s, both()), labels, 0)));
      return sample;
    });
    return {batches ? node : mox::data::unbatch(scope, node)};
  }

 private:
  static tensorflow::Tensor both() {
    tensorflow::Tensor images(tensorflow::DT_UINT8, {2, 8, 8, 1});
    for (int i = 0; i < 2 * 8 * 8; ++i)
      images.flat<uint8_t>()(i) = static_cast<uint8_t>((i < 64 ? i : i / 8) % 2 * 255);
    return images;
  }

  const int64_t num_samples_;
  const std::vector<std::string> names_;
  const bool train_;
  const mox::DatasetOptions options_;
};

std::unique_ptr<mox::Dataset> open_stripes(const mox::DatasetMeta& meta, const std::string& split,
                                           const std::string& /*dir*/, const mox::DatasetOptions& options) {
  return std::make_unique<Stripes>(meta.split_size(split), meta, split == "train", options);
}

void add_mine() {
  mox::register_network("tiny",
                        {.default_image_size = 8,
                         .default_logits_pattern = "Tiny/logits",
                         .default_channels = 1,
                         .default_preprocessing = "centered"},
                        tiny);
  mox::register_optimizer("sign_descent",
                          [](const mox::Scope& scope, const mox::LearningRate& rate, const mox::OptimizerOptions&) {
                            return std::make_unique<SignDescent>(scope, rate);
                          });
  mox::register_preprocessing("centered", 8, centered);
  mox::register_dataset({"stripes", {{"train", 256}, {"test", 64}}, 2, {8, 8, 1}, {"upright", "level"}}, open_stripes);
}

}  // namespace

MOX_PLUGIN(add_mine)
