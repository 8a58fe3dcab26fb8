#include "engine/classifier.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "base/limits.h"
#include "command_line.h"
#include "data/label_classes.h"
#include "engine/classifier_data.h"
#include "engine/lite_model.h"
#include "engine/option_flags.h"
#include "graph/graph_state.h"
#include "run/checkpoint_state.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace mox::cli {

namespace ops = tensorflow::ops;
using nlohmann::json;
using tensorflow::Output;

namespace {

constexpr char kConfigFile[] = "run.json";

// One place that lists the fields of run.json.
template <typename Config, typename F>
void for_each_field(Config& c, F f) {
  f("model_name", c.model_name);
  f("dataset_name", c.dataset_name);
  f("data_url", c.data_url);
  f("num_classes", c.num_classes);
  f("channels", c.channels);
  f("image_size", c.image_size);
  f("labels_offset", c.labels_offset);
  f("data_format", c.data_format);
  f("batch_norm_fused", c.batch_norm_fused);
  f("batch_norm_decay", c.batch_norm_decay);
  f("preprocessing_name", c.preprocessing_name);
  f("weight_decay", c.weight_decay);
  f("label_smoothing", c.label_smoothing);
  f("dtype", c.dtype);
  f("alpha", c.alpha);
  f("validation_split", c.validation_split);
  f("validation_seed", c.validation_seed);
}

}  // namespace

void add_classifier_flags(CommandLine& app, ClassifierConfig* c) {
  app.option("--model_name", c->model_name, "network, e.g. lenet (`mox nets` lists them)");
  app.option("--dataset_name", c->dataset_name, "built-in data set, e.g. fashion_mnist; without it, own images");
  app.option(
      "--data_url", c->data_url,
      "folder of the data set's files; of own images: class folders or *.tfrecord, maybe under train/ and eval/");
  app.number("--num_classes", c->num_classes, {1, kMaxClasses}, "classes; default: the data set's");
  app.number("--channels", c->channels, {1, 3}, "of the images, 1 or 3; default: the data set's").one_of({"1", "3"});
  app.number("--image_size", c->image_size, {1, kMaxImageSide}, "pixels a side; default: the network's");
  app.number("--labels_offset", c->labels_offset, {0, kMaxClasses},
             "subtracted from labels; default: the network's for imagenet, else 0");
  app.option("--data_format", c->data_format, "NHWC or NCHW").one_of({"NHWC", "NCHW"});
  app.option("--batch_norm_fused", c->batch_norm_fused, "batch normalisation in one kernel");
  app.number("--batch_norm_decay", c->batch_norm_decay, {0, 1},
             "of the moving averages; default: the network's, often 0.9997: for short trainings less");
  app.option("--preprocessing_name", c->preprocessing_name,
             "the network whose preprocessing is used; default: model_name");
  app.number("--weight_decay", c->weight_decay, {0, 1e6}, "L2 regularisation of the weights");
  app.option("--dtype", c->dtype, "of the computation: float32, bfloat16 or float16; variables stay float32")
      .one_of({"float32", "bfloat16", "float16"})
      .show_default();
  app.number("--label_smoothing", c->label_smoothing, {0, 1}, "0 to below 1, often 0.1");
  add_option(app, dataset_option("alpha"), c->alpha);
  app.number("--validation_split", c->validation_split, {0, 1},
             "part of each class of own images that is kept back from the training, to validate on; 0: none");
  app.number("--validation_seed", c->validation_seed, {0, kMaxCount}, "which images validation_split keeps back");
  add_option(app, dataset_option("max_broken_samples"), c->max_broken_samples);
  add_option(app, dataset_option("cache_dir"), c->cache_dir);
  add_option(app, dataset_option("cache"), c->cache);
}

// What the flags say, and what run.json says: a file from outside.
void check_numbers(const ClassifierConfig& c) {
  check_integer("num_classes", c.num_classes, 0, kMaxClasses, "0 means the data set's");
  if (c.channels != 0 && c.channels != 1 && c.channels != 3)
    throw InvalidArgumentError("channels is " + std::to_string(c.channels) + ", expected 1 or 3");
  check_integer("image_size", c.image_size, 0, kMaxImageSide, "0 means the network's");
  check_integer("labels_offset", c.labels_offset, -1, kMaxClasses);
  check_number("batch_norm_decay", c.batch_norm_decay, 0, 1);
  check_number("weight_decay", c.weight_decay, 0, 1e6);
  check_number("label_smoothing", c.label_smoothing, 0, 1);
  if (c.label_smoothing == 1)
    throw InvalidArgumentError("label_smoothing is 1: all classes would count alike; expected less than 1, e.g. 0.1");
  check_option(dataset_option("alpha"), c.alpha);
  if (!(c.validation_split >= 0 && c.validation_split < 1))
    throw InvalidArgumentError(
        fmt::format("validation_split is {}, expected at least 0 and less than 1", c.validation_split));
}

void complete(ClassifierConfig* c) {
  check_numbers(*c);
  if (c->model_name.empty())
    throw InvalidArgumentError("--model_name is needed: the network, e.g. lenet (mox train notes it in run.json)");
  const ModelMeta model = get_model_meta(c->model_name);
  if (c->image_size == 0) c->image_size = model.default_image_size;
  if (c->labels_offset < 0) c->labels_offset = c->dataset_name == "imagenet" ? model.default_labels_offset : 0;
  if (!c->dataset_name.empty()) {
    const DatasetMeta data = get_dataset_meta(c->dataset_name);
    if (c->num_classes == 0) c->num_classes = data.num_classes - c->labels_offset;
    if (c->channels == 0) c->channels = data.image_shape.back() > 0 ? data.image_shape.back() : 3;
  } else if (c->num_classes == 0 && !c->data_url.empty()) {
    const ClassifierData data(*c);
    const auto labels = data.open(data.train_split(), ModeKeys::EVAL)->class_names();
    if (!labels.empty() && static_cast<int64_t>(labels.size()) <= c->labels_offset)
      throw InvalidArgumentError(fmt::format("--labels_offset is {}, but {} names {} labels: no class is left",
                                             c->labels_offset, c->data_url, labels.size()));
    if (!labels.empty()) c->num_classes = static_cast<int64_t>(labels.size()) - c->labels_offset;
  }
  if (c->channels == 0) c->channels = 3;
  if (c->num_classes <= 0)
    throw InvalidArgumentError("--num_classes is needed: neither a data set nor run.json tells it");
}

void write_config(const ClassifierConfig& config, const std::string& dir) {
  json j;
  for_each_field(config, [&](const char* name, const auto& value) { j[name] = value; });
  file::make_dirs(dir);
  file::write(dir + "/" + kConfigFile, json_text(j, 2) + "\n");
}

const std::string& preprocessing_of(const ClassifierConfig& config) {
  return config.preprocessing_name.empty() ? config.model_name : config.preprocessing_name;
}

std::string peek_checkpoint_url(const std::vector<std::string>& args) {
  const std::string name = "--checkpoint_url";
  for (size_t i = 0; i < args.size(); ++i) {
    if (args[i].rfind(name + "=", 0) == 0) return args[i].substr(name.size() + 1);
    if (args[i] == name && i + 1 < args.size()) return args[i + 1];
  }
  return "";
}

std::string checkpoint_folder(const std::string& checkpoint_url) {
  if (checkpoint_url.empty() || file::is_directory(checkpoint_url)) return checkpoint_url;
  const size_t slash = checkpoint_url.rfind('/');
  return slash == std::string::npos ? "." : checkpoint_url.substr(0, slash);
}

ClassifierConfig read_config(const std::string& checkpoint_url) {
  ClassifierConfig config;
  config.split_dir = checkpoint_folder(checkpoint_url);
  const std::string path = checkpoint_folder(checkpoint_url) + "/" + kConfigFile;
  if (checkpoint_url.empty()) return config;
  if (!file::exists(path)) {
    const std::string folder = checkpoint_folder(checkpoint_url);
    if (folder != checkpoint_url && !file::is_directory(folder))
      throw NotFoundError(
          fmt::format("there is no folder {}, so no checkpoint {}; give a --train_url of mox train, or a "
                      "prefix in one such as DIR/model.ckpt-1000",
                      folder, checkpoint_url));
    const bool is_model = is_lite_model(checkpoint_url) && file::exists(checkpoint_url);
    if (!is_model && !file::is_directory(checkpoint_url) && !file::exists(checkpoint_url + ".index"))
      throw NotFoundError("there is neither a folder " + checkpoint_url + " nor a checkpoint of that name; give a " +
                          "--train_url of mox train, or a prefix such as DIR/model.ckpt-1000");
    return config;
  }
  const auto reject = [&](const std::string& why) {
    throw DataError(path + " cannot be read: " + why + "; remove it and give the flags by hand");
  };
  json j;
  try {
    j = parse_json(file::read(path));
  } catch (const json::exception& e) {
    reject(json_problem(e));
  }
  if (!j.is_object()) reject(std::string("it holds ") + j.type_name() + ", expected an object");
  for_each_field(config, [&](const char* name, auto& value) {
    try {
      if (!j.contains(name)) return;
      using Field = std::decay_t<decltype(value)>;
      // A cast would make another number of one that does not fit.
      if constexpr (std::is_integral_v<Field> && !std::is_same_v<Field, bool>) {
        const auto number = j[name].template get<double>();
        const auto most = static_cast<double>(std::min<int64_t>(std::numeric_limits<Field>::max(), kMaxCount));
        if (number != std::floor(number) || std::abs(number) > most)
          reject(fmt::format("{} is {}, expected an integer of at most {:.0f}", name, j[name].dump(), most));
      }
      value = j[name].template get<Field>();
    } catch (const json::exception& e) {
      reject(std::string(name) + ": " + json_problem(e));
    }
  });
  return config;
}

namespace {

// What labels.txt of a run says of the network's classes.
std::vector<std::string> names_in_run(const ClassifierConfig& config, const std::string& dir) {
  std::vector<std::string> names = read_class_names(dir);
  const auto count = static_cast<int64_t>(names.size());
  // Older versions kept the names of all the data's labels.
  if (config.labels_offset > 0 && count == config.num_classes + config.labels_offset)
    return data::classes_of_labels(names, config.labels_offset, config.num_classes);
  if (count > config.num_classes)
    throw DataError(
        fmt::format("{}/labels.txt names {} classes, but the network has {}; it must be the list that the "
                    "run was trained with",
                    dir, count, config.num_classes));
  return names;
}

}  // namespace

std::vector<std::string> class_names_of(const ClassifierConfig& config, const std::string& checkpoint_url) {
  const std::vector<std::string> names = names_in_run(config, checkpoint_folder(checkpoint_url));
  if (!names.empty()) return names;
  return data::classes_of_labels(
      config.dataset_name.empty() ? std::vector<std::string>() : get_dataset_meta(config.dataset_name).class_names,
      config.labels_offset, config.num_classes);
}

std::vector<std::string> class_names_of_training(const ClassifierConfig& config, const std::string& train_url) {
  if (checkpoints_in(train_url).empty()) return {};
  const std::vector<std::string> there = read_class_names(train_url);
  if (there.empty() || config.labels_offset <= 0) return there;
  if (static_cast<int64_t>(there.size()) != config.num_classes + config.labels_offset) return there;
  const std::vector<std::string> names = names_in_run(config, train_url);
  log_info(fmt::format("{}/labels.txt had the names below labels_offset {}: it is written anew with the network's {}",
                       train_url, config.labels_offset, names.size()));
  write_class_names(train_url, names);
  return names;
}

void forget_names_of_removed_run(const ClassifierConfig& config, const std::string& train_url) {
  const std::string list = train_url + "/labels.txt";
  if (!file::exists(train_url + "/" + kConfigFile) || !file::exists(list) || !checkpoints_in(train_url).empty()) return;
  const ClassifierData data(config);
  if (config.labels_offset <= 0 && data.open(data.train_split(), ModeKeys::EVAL)->class_names().empty())
    file::remove(list);
}

Output with_channels(const Scope& s, const Output& image, int64_t channels) {
  const int64_t has = static_shape(s, image).back();
  if (has == 1 && channels == 3) return ops::Tile(s, image, {1, 1, 3});
  if (has != 3 || channels != 1) return image;
  const Output weighted = ops::Multiply(s, ops::Cast(s, image, tensorflow::DT_FLOAT), {0.299f, 0.587f, 0.114f});
  const Output grey = ops::Sum(s, weighted, -1, ops::Sum::KeepDims(true));
  return ops::Cast(s, ops::Round(s, grey), image.type());
}

data::LabelMap label_map(const ClassifierConfig& config, const Dataset& dataset, ModeKeys mode,
                         const std::vector<std::string>& run_classes) {
  const std::vector<std::string> labels = dataset.class_names();
  if (mode != ModeKeys::TRAIN && run_classes.empty() && !labels.empty())
    log_warning(
        "there is no labels.txt beside the checkpoint: the data's classes are taken in the data's order, which is "
        "right "
        "only where the training began with the same list");
  if (mode != ModeKeys::TRAIN || labels.empty())
    return data::map_labels(labels, config.labels_offset, config.num_classes, run_classes);
  const auto own = data::classes_of_labels(labels, config.labels_offset, config.num_classes);
  if (static_cast<int64_t>(own.size()) < config.num_classes)
    log_warning(
        fmt::format("num_classes is {}, but the data names {} classes: the network's classes from {} on have "
                    "neither a name nor samples",
                    config.num_classes, own.size(), own.size()));
  // A training that goes on keeps its order. Other names stop it; the engine tells which.
  auto sorted = own, sorted_run = run_classes;
  std::sort(sorted.begin(), sorted.end());
  std::sort(sorted_run.begin(), sorted_run.end());
  if (own == run_classes || sorted != sorted_run)
    return data::map_labels(labels, config.labels_offset, config.num_classes, {});
  log_info("the data lists its classes in another order than the run that goes on: they are taken by their names");
  return data::map_labels(labels, config.labels_offset, config.num_classes, run_classes);
}

Output classifier_image(const Scope& s, const ClassifierConfig& config, const Output& image, ModeKeys mode,
                        const AugmentationOptions& augmentation) {
  return get_data_augmentation_fn(preprocessing_of(config), mode, config.image_size, config.image_size, augmentation)(
      s, with_channels(s, image, config.channels));
}

InputFn classifier_input(const ClassifierConfig& config, const std::string& split,
                         const std::vector<std::string>& run_classes, const AugmentationOptions& augmentation,
                         std::shared_ptr<Dataset> opened) {
  return [config, split, run_classes, augmentation, opened](const Scope& s, ModeKeys mode) {
    const ClassifierData data(config);
    if (mode == ModeKeys::TRAIN) data.check_labels_offset(split);
    const std::shared_ptr<Dataset> dataset = opened ? opened : data.open(split, mode);
    const data::LabelMap map = label_map(config, *dataset, mode, run_classes);
    const std::vector<std::string> keys = dataset->keys();
    const bool has_names = std::find(keys.begin(), keys.end(), "image_name") != keys.end();
    const auto sample = dataset->get(s, has_names ? std::vector<std::string>{"image", "label", "image_name"}
                                                  : std::vector<std::string>{"image", "label"});
    const Output image = classifier_image(s, config, sample[0], mode, augmentation);
    const Output label =
        data::class_of_label(s, sample[1], has_names ? sample[2] : Output(), "a sample of " + data.name(split), map);
    // What a training keeps beside its checkpoints and exports. In an evaluation there is nothing left to compare.
    s.state().text_collections["class_names"] = mode == ModeKeys::TRAIN ? map.names : std::vector<std::string>();
    return std::vector<Output>{image, label};
  };
}

}  // namespace mox::cli
