// The network of a classifier: its loss and metrics, and what is exported of it.
#include <algorithm>

#include "engine/classifier.h"
#include "graph/graph_state.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace mox::cli {

namespace ops = tensorflow::ops;
using tensorflow::Output;

Output classifier_logits(const Scope& s, const ClassifierConfig& config, const Output& images, ModeKeys mode) {
  ModelFnOptions options;
  options.weight_decay = config.weight_decay;
  options.data_format = config.data_format;
  options.batch_norm_fused = config.batch_norm_fused;
  options.batch_norm_decay = config.batch_norm_decay;
  options.image_height = options.image_width = config.image_size;
  const auto network = get_model_fn(config.model_name, mode, config.num_classes, options);
  if (config.dtype == "float32") return network(s, images).logits;
  const tensorflow::DataType dtype = config.dtype == "float16" ? tensorflow::DT_HALF : tensorflow::DT_BFLOAT16;
  const Output narrow = ops::Cast(s.WithOpName("images_" + config.dtype), images, dtype);
  return ops::Cast(s.WithOpName("logits_float32"), network(s.var_scope(tensorflow::DT_FLOAT), narrow).logits,
                   tensorflow::DT_FLOAT);
}

namespace {

// The batch as TRAIN sees it; labels are distributions.
MixedBatch training_batch(const Scope& s, const std::vector<Output>& inputs, int64_t num_classes,
                          const Recipe& recipe) {
  return mix_batch(s, inputs[0], layers::one_hot_encoding(s, inputs[1], num_classes), recipe.mix);
}

// Loss and accuracy of TRAIN with a recipe, whose labels may be mixed.
void add_training(const Scope& s, const ClassifierConfig& config, const Recipe& recipe, const Output& logits,
                  const Output& labels, ModelSpec* spec) {
  losses::CrossEntropyOptions options{.label_smoothing = config.label_smoothing};
  if (!recipe.class_weights.empty())
    options.sample_weights = losses::weights_of_classes(s, labels, recipe.class_weights);
  const Output loss = losses::add_regularization(s, losses::softmax_cross_entropy(s, labels, logits, options));
  spec->loss = loss;
  spec->log_info = {{"loss", loss}, {"accuracy", metrics::expected_accuracy(s, logits, labels)}};
}

// A name a class; its number where none is known.
tensorflow::Tensor names_tensor(const std::vector<std::string>& names, int64_t num_classes) {
  tensorflow::Tensor tensor(tensorflow::DT_STRING, {num_classes});
  for (int64_t i = 0; i < num_classes; ++i)
    tensor.flat<tensorflow::tstring>()(i) =
        i < static_cast<int64_t>(names.size()) ? names[static_cast<size_t>(i)] : std::to_string(i);
  return tensor;
}

ModelSpec exported_model(const Scope& s, const ClassifierConfig& config, const std::vector<std::string>& class_names,
                         const Output& images) {
  const auto preprocess = [&config](const Scope& scope, const Output& image) {
    return classifier_image(scope, config, image, ModeKeys::EXPORT);
  };
  const EncodedImages encoded = encoded_images(s, images, preprocess, config.alpha);
  const Output logits = classifier_logits(s, config, encoded.images, ModeKeys::EXPORT);
  const Output best = ops::ArgMax(s.WithOpName("classes"), logits, 1);
  const NamedOutputs outputs = {
      {"logits", logits}, {"probabilities", layers::softmax(s, logits, "probabilities")}, {"classes", best}};
  NamedOutputs with_names = outputs;
  if (!class_names.empty())
    with_names.emplace_back("class_names",
                            ops::GatherV2(s, ops::Const(s, names_tensor(class_names, config.num_classes)), best, 0));
  ModelSpec spec;
  // Servers take what ends in _bytes as base64.
  spec.export_spec = ExportSpec{
      {{"images", encoded.images}}, outputs, "-1", {{"serving_bytes", {{{"image_bytes", encoded.files}}, with_names}}}};
  return spec;
}

}  // namespace

ModelFn classifier_model(const ClassifierConfig& config, const Recipe& recipe,
                         const std::vector<std::string>& class_names) {
  return [config, recipe, class_names](const Scope& s, const std::vector<Output>& inputs, ModeKeys mode) {
    if (mode == ModeKeys::EXPORT) return exported_model(s, config, class_names, inputs[0]);
    const bool by_recipe = mode == ModeKeys::TRAIN && inputs.size() > 1 &&
                           (recipe.mix.mixup > 0 || recipe.mix.cutmix > 0 || !recipe.class_weights.empty());
    MixedBatch batch;
    if (by_recipe) batch = training_batch(s, inputs, config.num_classes, recipe);
    const Output logits = classifier_logits(s, config, by_recipe ? batch.images : inputs[0], mode);
    const Output probabilities = layers::softmax(s, logits, "probabilities");
    ModelSpec spec;
    spec.output_info = {{"logits", logits}, {"probabilities", probabilities}};
    if (inputs.size() < 2) return spec;
    if (by_recipe) {
      add_training(s, config, recipe, logits, batch.labels, &spec);
      return spec;
    }

    const Output& labels = inputs[1];
    const Output one_hot = layers::one_hot_encoding(s, labels, config.num_classes);
    const Output cross_entropy =
        losses::softmax_cross_entropy(s, one_hot, logits, {.label_smoothing = config.label_smoothing});
    const Output loss = losses::add_regularization(s, cross_entropy);
    spec.loss = loss;
    spec.log_info = {{"loss", loss}, {"accuracy", metrics::accuracy(s, logits, labels)}};
    if (mode == ModeKeys::EVAL) {
      // By sample: a last batch that is not full counts for what it has. The loss is the cross entropy alone, here and
      // in what is logged.
      const auto each = ops::SparseSoftmaxCrossEntropyWithLogits(s, logits, labels);
      spec.output_info = {
          {"loss", each.loss},
          {"images", inputs[0]},
          {"labels", labels},
          {"probabilities", probabilities},
          {"top1", metrics::in_top_k(s, logits, labels, 1, "in_top_1")},
          {"top5", metrics::in_top_k(s, logits, labels, std::min<int>(5, config.num_classes), "in_top_5")}};
      const auto mean = [&s](const Output& values) -> Output {
        return ops::Mean(s, ops::Cast(s, values, tensorflow::DT_FLOAT), 0);
      };
      spec.log_info = {{"loss", mean(each.loss)}, {"accuracy", mean(spec.output_info[4].second)}};
      if (config.num_classes > 5) spec.log_info.emplace_back("top5", mean(spec.output_info[5].second));
    }
    return spec;
  };
}

}  // namespace mox::cli
