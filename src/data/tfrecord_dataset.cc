#include <algorithm>

#include "base/limits.h"
#include "data/image_pipeline.h"
#include "data/record_pipeline.h"
#include "moxing/error.h"

namespace mox {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

namespace {

constexpr int64_t kBatchesAhead = 2;

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

const tf::Output& feature_of(const ParsedFeatures& features, const std::string& key) {
  const auto found = features.find(key);
  if (found != features.end()) return found->second;
  std::vector<std::string> known;
  for (const auto& feature : features) known.push_back(feature.first);
  throw InvalidArgumentError("an item asks for the feature '" + key +
                             "', which keys_to_features lacks; it has: " + data::join_names(known));
}

tf::Tensor scalar_string(const std::string& value) {
  tf::Tensor tensor(tf::DT_STRING, {});
  tensor.scalar<tf::tstring>()() = value;
  return tensor;
}

}  // namespace

ItemHandler tensor_handler(const std::string& feature) {
  return [feature](const Scope&, const ParsedFeatures& features, const tf::Output&) {
    return feature_of(features, feature);
  };
}

ItemHandler image_handler(const std::string& feature, const std::optional<ImageSize>& size) {
  return [=](const Scope& scope, const ParsedFeatures& features, const tf::Output& name) {
    return data::decode(scope, feature_of(features, feature), name, size, false);
  };
}

BaseTFRecordDataset::BaseTFRecordDataset(BaseTFRecordMetadata metadata, KeysToFeatures features, ItemsToHandlers items,
                                         TFRecordDatasetOptions options)
    : metadata_(std::move(metadata)),
      features_(std::move(features)),
      items_(std::move(items)),
      options_(std::move(options)) {
  data::check_disk_options(options_);
}

BaseTFRecordDataset::BaseTFRecordDataset(BaseTFRecordMetadata metadata, TFRecordDatasetOptions options)
    : BaseTFRecordDataset(std::move(metadata), {}, {}, std::move(options)) {}

std::vector<std::string> BaseTFRecordDataset::keys() const {
  std::vector<std::string> names;
  for (const auto& item : items_to_handlers()) names.push_back(item.first);
  return names;
}

std::vector<tf::Output> BaseTFRecordDataset::build_items(const Scope& scope, const std::vector<std::string>& keys,
                                                         const ParsedFeatures& features, const tf::Output& name) const {
  const ItemsToHandlers items = items_to_handlers();
  std::vector<tf::Output> outputs;
  for (const auto& key : keys)
    for (const auto& [item, handler] : items)
      if (item == key) {
        outputs.push_back(handler(scope, features, name));
        break;
      }
  return outputs;
}

Dataset::Pipeline BaseTFRecordDataset::build(const Scope& scope, const std::vector<std::string>& keys) {
  const KeysToFeatures features = keys_to_features();
  const std::string counter = data::new_broken_counter();
  const bool batches = options_.batch_size > 0;
  data::DatasetNode node = data::read_records(scope, metadata_, options_, counter);
  node = data::map(scope, node,
                   [&](const Scope& s, const std::vector<tf::Output>& element, const std::vector<tf::Output>&) {
                     auto items =
                         build_items(s, keys, data::parse_features(s, element[0], element[1], features), element[1]);
                     for (size_t i = 0; batches && i < items.size(); ++i)
                       items[i] = data::not_empty(s, items[i], element[1], "its " + keys[i]);
                     return items;
                   },
                   {.captured = {}, .parallel = options_.preprocess_threads});
  node = data::skip_broken(scope, node, options_.max_broken_samples, counter);
  if (batches) node = data::batch(scope, node, options_.batch_size, options_.drop_remainder);
  node = data::prefetch(scope, node, batches ? kBatchesAhead : options_.preprocess_threads);
  if (options_.private_num_threads > 0) node = data::private_threads(scope, node, options_.private_num_threads);
  return {node};
}

std::unique_ptr<Dataset> get_tfrecord(const std::string& dataset_dir, const std::string& file_pattern,
                                      const KeysToFeatures& keys_to_features, const ItemsToHandlers& items_to_handlers,
                                      int64_t num_samples, const TFRecordDatasetOptions& options) {
  return std::make_unique<BaseTFRecordDataset>(
      BaseTFRecordMetadata(dataset_dir, {file_pattern}, {.redirect_dir = "", .num_samples = num_samples}),
      keys_to_features, items_to_handlers, options);
}

ImageClassificationTFRecordDataset::ImageClassificationTFRecordDataset(ImageClassificationTFRecordMetadata metadata,
                                                                       ImageTFRecordDatasetOptions options)
    : metadata_(std::move(metadata)), options_(std::move(options)) {
  data::check_disk_options(options_);
  data::check_image_sizes(options_);
  if (options_.custom_feature_keys.size() != options_.custom_feature_values.size())
    throw InvalidArgumentError("there are " + std::to_string(options_.custom_feature_keys.size()) +
                               " custom_feature_keys and " + std::to_string(options_.custom_feature_values.size()) +
                               " custom_feature_values; expected one value a key");
}

std::vector<std::string> ImageClassificationTFRecordDataset::keys() const {
  std::vector<std::string> names = data::image_keys();
  for (const auto& key : options_.custom_feature_keys)
    if (!contains(names, key)) names.push_back(key);
  return names;
}

Dataset::Pipeline ImageClassificationTFRecordDataset::build(const Scope& scope, const std::vector<std::string>& keys) {
  KeysToFeatures features = {{"image/encoded", {}}, {"image/class/label", {tf::DT_INT64, {}, false, std::nullopt}}};
  std::vector<std::string> custom;
  for (size_t i = 0; i < options_.custom_feature_keys.size(); ++i) {
    features[options_.custom_feature_keys[i]] = options_.custom_feature_values[i];
    if (contains(keys, options_.custom_feature_keys[i])) custom.push_back(options_.custom_feature_keys[i]);
  }
  const bool has_names = !metadata_.labels_list().empty();
  if (!has_names) features["image/class/text"].default_value = scalar_string("");
  const int64_t num_classes = metadata_.num_classes();
  const auto parse = [&](const Scope& s, const std::vector<tf::Output>& element,
                         const std::vector<tf::Output>& tables) {
    const ParsedFeatures parsed = data::parse_features(s, element[0], element[1], features);
    tf::Output label = parsed.at("image/class/label");
    if (num_classes > 0) label = data::checked_label(s, label, element[1], num_classes);
    const tf::Output description =
        has_names ? tf::Output(ops::GatherV2(s, tables[0], label, 0)) : parsed.at("image/class/text");
    tf::Output encoded = parsed.at("image/encoded");
    if (options_.preprocess_fn) encoded = data::checked_image(s, encoded, element[1]);
    std::vector<tf::Output> outputs = {element[1], encoded, label, description};
    for (const auto& key : custom) outputs.push_back(parsed.at(key));
    return outputs;
  };
  data::MapOptions map_options{.captured = {}, .parallel = options_.preprocess_threads};
  if (has_names) {
    tf::Tensor names(tf::DT_STRING, {metadata_.num_classes()});
    for (int64_t i = 0; i < metadata_.num_classes(); ++i) names.vec<tf::tstring>()(i) = metadata_.labels_list()[i];
    map_options.captured = {data::fed_tensor(scope, "class_names", names)};
  }
  const std::string counter = data::new_broken_counter();
  TFRecordDatasetOptions read;
  data::copy_options(options_, &read);
  const data::DatasetNode records = data::read_records(scope, metadata_, read, counter);
  const data::DatasetNode encoded = data::map(scope, records, parse, map_options);
  return {data::image_stages(scope, encoded, options_, num_classes, counter, keys, custom)};
}

}  // namespace mox
