#include "engine/classifier_data.h"

namespace mox::cli {
namespace {

constexpr char kRecords[] = "*.tfrecord";

bool has_records(const std::string& dir) { return !file::glob(dir + "/" + kRecords).empty(); }

// A folder of that name may also be a class; a split holds folders or records itself.
bool is_split(const std::string& dir) {
  if (!file::is_directory(dir)) return false;
  return has_records(dir) || !file::list_directory(dir, {.skip_file = true}).empty();
}

std::string split_folder(const std::string& data_url, const std::vector<std::string>& names) {
  for (const std::string& name : names)
    if (is_split(data_url + "/" + name)) return name;
  return "";
}

}  // namespace

std::string ClassifierData::train_split() const {
  return own_images() ? split_folder(config_.data_url, {"train"})
                      : get_dataset_meta(config_.dataset_name).splits_to_sizes.front().first;
}

std::string ClassifierData::eval_split() const {
  return own_images() ? split_folder(config_.data_url, {"eval", "validation", "val", "test"})
                      : get_dataset_meta(config_.dataset_name).splits_to_sizes.back().first;
}

int64_t ClassifierData::num_samples(const std::string& split) const {
  return own_images() ? open_own(split, ModeKeys::EVAL)->num_samples()
                      : get_dataset_meta(config_.dataset_name).split_size(split);
}

template <typename Options>
void ClassifierData::set_common(ModeKeys mode, Options* options) const {
  options->num_epochs = mode == ModeKeys::TRAIN ? 0 : 1;
  options->shuffle = mode == ModeKeys::TRAIN;
  options->max_broken_samples = config_.max_broken_samples;
  options->cache_dir = config_.cache_dir;
  options->remove_cache_on_finish = false;
}

std::unique_ptr<Dataset> ClassifierData::open(const std::string& split, ModeKeys mode) const {
  if (own_images()) return open_own(split, mode);
  DatasetOptions options;
  set_common(mode, &options);
  return get_dataset(config_.dataset_name, split, config_.data_url, options);
}

std::unique_ptr<Dataset> ClassifierData::open_own(const std::string& split, ModeKeys mode) const {
  const std::string dir = split.empty() ? config_.data_url : config_.data_url + "/" + split;
  if (has_records(dir)) {
    ImageTFRecordMetadataOptions known;
    known.num_classes = config_.num_classes;
    ImageTFRecordDatasetOptions options;
    set_common(mode, &options);
    return std::make_unique<ImageClassificationTFRecordDataset>(
        ImageClassificationTFRecordMetadata(dir, {kRecords}, known), options);
  }
  RawDatasetOptions options;
  set_common(mode, &options);
  return std::make_unique<ImageClassificationRawDataset>(ImageClassificationRawMetadata(dir), options);
}

}  // namespace mox::cli
