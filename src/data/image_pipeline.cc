#include "data/image_pipeline.h"

#include <atomic>

#include "base/limits.h"
#include "data/decode_image.h"
#include "data/image_table.h"
#include "data/storage.h"
#include "graph/graph_state.h"
#include "moxing/error.h"

namespace mox::data {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

namespace {

// Batches that are ready when the training step asks.
constexpr int64_t kBatchesAhead = 2;
constexpr int64_t kAsyncReads = 64;
// Names that one step of the pipeline takes from the list: it hides the step's fixed cost.
constexpr int64_t kNamesPerStep = 64;

RawSample sample_of(const std::vector<tf::Output>& element) { return {element[0], element[1], element[2], element[3]}; }

// What the stages have in common.
struct Stage {
  const ImageDatasetOptions& options;
  int64_t num_classes;
  const std::string& broken_counter;
  const std::vector<std::string>& keys;
  const std::vector<std::string>& further;

  bool batches() const { return options.batch_size > 0; }
  bool wants_image() const { return std::find(keys.begin(), keys.end(), "image") != keys.end(); }
  // What the keys ask for.
  std::vector<tf::Output> select(const RawSample& sample, const std::vector<tf::Output>& element) const;
  // The same of samples that are batched, or taken out of a batch: none without values. `name` is as it was read.
  std::vector<tf::Output> select_checked(const Scope& scope, const RawSample& sample,
                                         const std::vector<tf::Output>& element) const;
};

std::vector<tf::Output> Stage::select(const RawSample& sample, const std::vector<tf::Output>& element) const {
  std::vector<tf::Output> outputs;
  for (const auto& key : keys) {
    const auto place = std::find(further.begin(), further.end(), key) - further.begin();
    outputs.push_back(key == "image"        ? sample.image
                      : key == "label"      ? sample.label
                      : key == "label_desc" ? sample.label_desc
                      : key == "image_name" ? sample.image_name
                                            : element[4 + place]);
  }
  return outputs;
}

std::vector<tf::Output> Stage::select_checked(const Scope& scope, const RawSample& sample,
                                              const std::vector<tf::Output>& element) const {
  std::vector<tf::Output> outputs = select(sample, element);
  for (size_t i = 0; i < keys.size(); ++i) outputs[i] = not_empty(scope, outputs[i], element[0], "its " + keys[i]);
  return outputs;
}

// Of the element's label, which a preprocess_fn may have replaced: out of range it would be a row of zeros.
tf::Output one_hot(const Scope& s, const tf::Output& label, const tf::Output& name, int64_t num_classes) {
  const tf::Output number = label.type() == tf::DT_INT64 ? label : tf::Output(ops::Cast(s, label, tf::DT_INT64));
  return ops::OneHot(s, checked_label(s, number, name, num_classes), static_cast<int32_t>(num_classes), 1.0f, 0.0f);
}

DatasetNode decoded(const Scope& scope, const DatasetNode& encoded, const Stage& stage) {
  const ImageDatasetOptions& options = stage.options;
  const auto body = [&](const Scope& s, const std::vector<tf::Output>& element, const std::vector<tf::Output>&) {
    RawSample sample = sample_of(element);
    if (options.preprocess_fn)
      sample = options.preprocess_fn(s, sample);
    else if (stage.wants_image())
      sample.image = decode(s, sample.image, sample.image_name, options.image_size, options.apply_exif_orientation, 3,
                            options.alpha);
    if (options.augmentation_fn && stage.wants_image()) sample.image = options.augmentation_fn(s, sample.image);
    if (options.label_one_hot) sample.label = one_hot(s, sample.label, element[0], stage.num_classes);
    return stage.batches() ? stage.select_checked(s, sample, element) : stage.select(sample, element);
  };
  return skip_broken(scope, map(scope, encoded, body, {.captured = {}, .parallel = options.preprocess_threads}),
                     options.max_broken_samples, stage.broken_counter);
}

// The manual's preprocess_fn takes a whole batch of files.
DatasetNode preprocessed_batches(const Scope& scope, const DatasetNode& encoded, const Stage& stage) {
  const ImageDatasetOptions& options = stage.options;
  const DatasetNode whole = skip_broken(scope, encoded, options.max_broken_samples, stage.broken_counter);
  const DatasetNode files = batch(scope, whole, options.batch_size, options.drop_remainder);
  // Several batches at once, but not so many that they fill the memory.
  const int64_t parallel = std::max<int64_t>(1, options.preprocess_threads / options.batch_size);
  const bool augments = options.augmentation_fn && stage.wants_image();
  DatasetNode node = map(scope, files,
                         [&](const Scope& s, const std::vector<tf::Output>& element, const std::vector<tf::Output>&) {
                           RawSample sample = options.preprocess_fn(s, sample_of(element));
                           if (options.label_one_hot)
                             sample.label = one_hot(s, sample.label, element[0], stage.num_classes);
                           return augments ? stage.select_checked(s, sample, element) : stage.select(sample, element);
                         },
                         {.captured = {}, .parallel = parallel});
  if (!augments) return node;
  const auto image = std::find(stage.keys.begin(), stage.keys.end(), "image") - stage.keys.begin();
  node = map(scope, unbatch(scope, node),
             [&](const Scope& s, const std::vector<tf::Output>& element, const std::vector<tf::Output>&) {
               std::vector<tf::Output> outputs = element;
               const tf::Output unnamed = ops::Const(s, tf::Input::Initializer(""));
               outputs[image] = not_empty(s, options.augmentation_fn(s, element[image]), unnamed,
                                          "an image that augmentation_fn returned");
               return outputs;
             },
             {.captured = {}, .parallel = options.preprocess_threads});
  return batch(scope, node, options.batch_size, options.drop_remainder);
}

// The input `pixels` of MoxReadFilesDataset: what decode() makes of a file, or none.
tf::Output cached_pixels(const Scope& scope, const RawDatasetOptions& options) {
  std::vector<int64_t> numbers;
  if (options.cache == "decoded") {
    const ImageSize size = options.image_size.value_or(ImageSize{0, 0});
    numbers = {size.height, size.width, options.apply_exif_orientation ? 1 : 0, background_of(options.alpha)};
  }
  tf::Tensor tensor(tf::DT_INT64, {static_cast<int64_t>(numbers.size())});
  std::copy(numbers.begin(), numbers.end(), tensor.flat<int64_t>().data());
  return ops::Const(scope, tf::Input::Initializer(tensor));
}

tf::Tensor strings(const std::vector<std::string>& texts) {
  tf::Tensor tensor(tf::DT_STRING, {static_cast<int64_t>(texts.size())});
  std::copy(texts.begin(), texts.end(), tensor.vec<tf::tstring>().data());
  return tensor;
}

// Path, size, version, label and label_desc of the files that each element, a vector of numbers, names.
DatasetNode listed_files(const Scope& scope, const DatasetNode& numbers, const RawFiles& raw) {
  const ImageTable& table = raw.files.table();
  std::vector<std::string> folders;
  for (const auto& folder : table.folders) folders.push_back(join_path(raw.dir, folder));
  MapOptions columns{.captured = {}, .in_asking_thread = true};
  columns.captured = {
      fed_tensor(scope, "image_names", table.names),       fed_tensor(scope, "image_name_ends", table.ends),
      fed_tensor(scope, "image_folders", table.folder_of), fed_tensor(scope, "folders", strings(folders)),
      fed_tensor(scope, "image_sizes", table.sizes),       fed_tensor(scope, "image_versions", table.versions)};
  const bool by_folder = raw.labels.empty();
  if (by_folder) columns.captured.push_back(fed_tensor(scope, "class_names", strings(raw.classes)));
  for (const auto& tensor : raw.labels) columns.captured.push_back(fed_tensor(scope, "image_labels", tensor));
  return map(
      scope, numbers,
      [by_folder](const Scope& s, const std::vector<tf::Output>& element, const std::vector<tf::Output>& tensors) {
        const auto rows = [&](const tf::Output& tensor) { return ops::GatherV2(s, tensor, element[0], 0); };
        const tf::Output folder = rows(tensors[2]);
        tf::NodeBuilder paths(s.GetUniqueNameForOp("image_paths"), "MoxImagePaths");
        paths.Input(element[0].node(), element[0].index()).Input(folder.node(), folder.index());
        for (const size_t i : {0, 1, 3}) paths.Input(tensors[i].node(), tensors[i].index());
        std::vector<tf::Output> outputs = {tf::Output(add_node(s, paths), 0), rows(tensors[4]), rows(tensors[5])};
        if (by_folder) {
          outputs.push_back(ops::Cast(s, folder, tf::DT_INT64));
          outputs.push_back(ops::GatherV2(s, tensors[6], folder, 0));
        }
        for (size_t i = 6; !by_folder && i < tensors.size(); ++i) outputs.push_back(rows(tensors[i]));
        return outputs;
      },
      columns);
}

int64_t reader_number(const RawDatasetOptions& options, const std::string& key, int64_t fallback) {
  const auto found = options.reader_kwargs.find(key);
  return found == options.reader_kwargs.end() ? fallback : found->second;
}

}  // namespace

void check_image_sizes(const ImageDatasetOptions& options) {
  if (options.batch_size > 0 && !options.image_size && !options.preprocess_fn && !options.augmentation_fn)
    throw InvalidArgumentError(
        "batch_size is given, but images of different sizes cannot be joined: give image_size, preprocess_fn or "
        "augmentation_fn too");
  if (!options.image_size) return;
  const auto [height, width] = *options.image_size;
  check_integer("image_size: height", height, 1, kMaxImageSide);
  check_integer("image_size: width", width, 1, kMaxImageSide);
  const int64_t batch = std::max<int64_t>(options.batch_size, 1);
  check_fits_memory(
      "a batch of " + std::to_string(batch) + " images of " + std::to_string(height) + "x" + std::to_string(width),
      3.0 * static_cast<double>(batch) * static_cast<double>(height) * static_cast<double>(width),
      "lower batch_size or image_size");
}

void check_cache(const RawDatasetOptions& options) {
  if (options.cache != "decoded") return;
  if (options.cache_dir.empty())
    throw InvalidArgumentError("cache is decoded, but there is no cache_dir: give the folder that keeps the pixels");
  if (options.preprocess_fn)
    throw InvalidArgumentError(
        "cache is decoded, but preprocess_fn takes the files as they are: leave one of them out");
}

DatasetNode skip_broken(const Scope& scope, const DatasetNode& input, int64_t max_broken, const std::string& counter,
                        bool must_deliver) {
  return dataset_op(scope, &input,
                    {.op = "MoxSkipBrokenDataset",
                     .inputs = {ops::Const(scope, max_broken), ops::Const(scope, tf::Input::Initializer(counter)),
                                ops::Const(scope, must_deliver)},
                     .types = {},
                     .shapes = {}});
}

std::string new_broken_counter() {
  static std::atomic<int64_t> count{0};
  return "mox_broken_" + std::to_string(++count);
}

tf::Output decode(const Scope& scope, const tf::Output& content, const tf::Output& name,
                  const std::optional<ImageSize>& size, bool apply_exif, int channels, const std::string& alpha) {
  tf::NodeBuilder builder(scope.GetUniqueNameForOp("decode"), "MoxDecodeImage");
  builder.Input(content.node(), content.index())
      .Input(name.node(), name.index())
      .Attr("apply_exif", apply_exif)
      .Attr("channels", channels);
  if (alpha != "drop") builder.Attr("alpha", alpha);
  if (size) {
    check_integer("the height of an image", size->height, 1, kMaxImageSide);
    check_integer("the width of an image", size->width, 1, kMaxImageSide);
  }
  if (size) builder.Attr("height", size->height).Attr("width", size->width);
  return tf::Output(add_node(scope, builder), 0);
}

tf::Output checked_label(const Scope& scope, const tf::Output& label, const tf::Output& name, int64_t num_classes) {
  tf::NodeBuilder builder(scope.GetUniqueNameForOp("check_label"), "MoxCheckLabel");
  builder.Input(label.node(), label.index()).Input(name.node(), name.index()).Attr("num_classes", num_classes);
  return tf::Output(add_node(scope, builder), 0);
}

tf::Output checked_image(const Scope& scope, const tf::Output& content, const tf::Output& name) {
  tf::NodeBuilder builder(scope.GetUniqueNameForOp("check_image"), "MoxCheckImage");
  builder.Input(content.node(), content.index()).Input(name.node(), name.index());
  return tf::Output(add_node(scope, builder), 0);
}

DatasetNode image_stages(const Scope& scope, const DatasetNode& encoded, const ImageDatasetOptions& options,
                         int64_t num_classes, const std::string& broken_counter, const std::vector<std::string>& keys,
                         const std::vector<std::string>& further) {
  if (options.label_one_hot && num_classes < 1)
    throw InvalidArgumentError("label_one_hot needs the number of classes: give num_classes to the metadata");
  const Stage stage{options, num_classes, broken_counter, keys, further};
  const bool batches = stage.batches();
  DatasetNode node;
  if (batches && options.preprocess_fn) {
    node = preprocessed_batches(scope, encoded, stage);
  } else {
    node = decoded(scope, encoded, stage);
    if (batches) node = batch(scope, node, options.batch_size, options.drop_remainder);
  }
  node = prefetch(scope, node, batches ? kBatchesAhead : options.preprocess_threads);
  if (options.private_num_threads > 0) node = private_threads(scope, node, options.private_num_threads);
  return node;
}

DatasetNode read_raw_files(const Scope& scope, const RawFiles& raw, const RawDatasetOptions& options) {
  const std::string reader = options.reader_class.empty() ? "ParallelReader" : options.reader_class;
  if (reader != "ParallelReader" && reader != "AsyncRawGenerator")
    throw InvalidArgumentError("there is no reader_class '" + reader +
                               "'; there are: ParallelReader, AsyncRawGenerator");
  for (const auto& [key, value] : options.reader_kwargs)
    if (key != "num_readers" && key != "capacity")
      throw InvalidArgumentError("reader_kwargs has no '" + key + "'; it has: num_readers, capacity");
  const int64_t readers =
      reader_number(options, "num_readers", reader == "AsyncRawGenerator" ? kAsyncReads : options.num_readers);
  const int64_t capacity = reader_number(options, "capacity", options.capacity);
  check_option(dataset_option("num_readers"), readers);

  const auto count = static_cast<int64_t>(raw.files.size());
  SampleOrder order = checked_order(scope,
                                    {.capacity = capacity,
                                     .shuffle = options.shuffle,
                                     .num_epochs = options.num_epochs,
                                     .seed = options.seed,
                                     .batch_size = options.batch_size,
                                     .shard_index = options.shard_index,
                                     .num_shards = options.num_shards},
                                    count, options.shuffle);
  order.resumes = true;
  DatasetNode node = sample_numbers(scope, order, std::min(kNamesPerStep, count), false);
  node = listed_files(scope, node, raw);
  node = unbatch(scope, node);
  DatasetNode out = node;
  out.types.erase(out.types.begin() + 1, out.types.begin() + 3);
  out.shapes.erase(out.shapes.begin() + 1, out.shapes.begin() + 3);
  out.types.insert(out.types.begin() + 1, tf::DT_STRING);
  out.shapes.insert(out.shapes.begin() + 1, tf::PartialTensorShape(std::vector<int64_t>{}));
  return dataset_op(scope, &node,
                    {.op = "MoxReadFilesDataset",
                     .inputs = {ops::Const(scope, readers), ops::Const(scope, capacity),
                                ops::Const(scope, tf::Input::Initializer(options.cache_dir)),
                                ops::Const(scope, options.remove_cache_on_finish),
                                ops::Const(scope, options.preprocess_fn != nullptr), cached_pixels(scope, options)},
                     .types = out.types,
                     .shapes = out.shapes});
}

}  // namespace mox::data
