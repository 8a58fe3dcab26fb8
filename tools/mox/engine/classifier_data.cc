#include "engine/classifier_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/limits.h"
#include "base/mutex.h"

namespace mox::cli {
namespace {

constexpr char kRecords[] = "*.tfrecord", kEnding[] = ".tfrecord";

// What was found in a folder, once a command: it asks for its data several times, and a store with a million keys takes
// a minute to answer, as does counting the records of many files.
template <typename Found>
Found found_once(const std::string& key, const std::function<Found()>& find) {
  static Mutex mutex;
  static auto& known = *new std::map<std::string, Found>;
  {
    MutexLock lock(mutex);
    if (const auto there = known.find(key); there != known.end()) return there->second;
  }
  Found found = find();  // which may look for another
  MutexLock lock(mutex);
  return known.emplace(key, std::move(found)).first->second;
}

// No glob: the folder's own name may have * or [ in it.
bool has_records(const std::string& dir) {
  return found_once<bool>("records of " + dir, [&] {
    if (!file::is_directory(dir)) return false;
    const std::vector<std::string> names = file::list_directory(dir, {.skip_dir = true});
    return std::any_of(names.begin(), names.end(), [](const std::string& name) {
      return name[0] != '.' && name.size() >= sizeof kEnding && name.ends_with(kEnding);
    });
  });
}

// A folder of that name may also be a class; a split holds folders or records itself.
bool is_split(const std::string& dir) {
  if (has_records(dir)) return true;
  return found_once<bool>("folders of " + dir, [&] {
    return file::is_directory(dir) && !file::list_directory(dir, {.skip_file = true}).empty();
  });
}

ImageClassificationRawMetadata images_in(const std::string& dir) {
  return found_once<ImageClassificationRawMetadata>(dir, [&] { return ImageClassificationRawMetadata(dir); });
}

constexpr char kTrain[] = "train", kValidation[] = "validation";

}  // namespace

// "" when there is none.
std::string ClassifierData::split_folder(const std::vector<std::string>& names) const {
  for (const std::string& name : names)
    if (is_split(config_.data_url + "/" + name)) return name;
  return "";
}

std::string ClassifierData::train_split() const {
  if (!own_images()) return get_dataset_meta(config_.dataset_name).splits_to_sizes.front().first;
  if (splits()) return kTrain;
  const std::string folder = split_folder({kTrain});
  return folder.empty() ? kAllImages : folder;
}

std::string ClassifierData::eval_split() const {
  if (!own_images()) return get_dataset_meta(config_.dataset_name).splits_to_sizes.back().first;
  if (splits()) return kValidation;
  const std::string folder = split_folder({"eval", kValidation, "val", "test"});
  return folder.empty() ? train_split() : folder;
}

bool ClassifierData::is_trained_on(const std::string& split) const {
  return split == train_split() || (own_images() && (split.empty() || split == kAllImages));
}

void ClassifierData::check_validation_split() const {
  if (config_.validation_split <= 0 && config_.validation_seed != 0)
    throw InvalidArgumentError(
        "--validation_seed is given without --validation_split, whose images it draws: give both");
  if (config_.validation_split <= 0) return;
  if (!own_images())
    throw InvalidArgumentError(fmt::format("--validation_split is for own images; {} has the split {} to validate on",
                                           config_.dataset_name, eval_split()));
  if (const std::string there = split_folder({"eval", kValidation, "val", "test"}); !there.empty())
    throw InvalidArgumentError(
        fmt::format("--validation_split is given, but {}/{} has images to validate on: leave it "
                    "out, or give another --data_url",
                    config_.data_url, there));
  if (has_records(folder(kTrain)))
    throw InvalidArgumentError(
        fmt::format("--validation_split is for class folders, but {} has TFRecord files: write those to validate on "
                    "into the folder eval beside train",
                    folder(kTrain)));
}

ValidationSplit ClassifierData::validation_split() const {
  ValidationSplit split = read_split(config_.split_dir);
  if (!split.images.empty()) return split;
  return make_split(images_in(folder(kTrain)), config_.validation_split, config_.validation_seed);
}

int64_t ClassifierData::num_samples(const std::string& split) const {
  return own_images() ? open_own(split, ModeKeys::EVAL)->num_samples()
                      : get_dataset_meta(config_.dataset_name).split_size(split);
}

template <typename Options>
void ClassifierData::set_common(ModeKeys mode, Options* options) const {
  options->num_epochs = mode == ModeKeys::TRAIN ? 0 : 1;
  options->shuffle = mode == ModeKeys::TRAIN;
  options->max_broken_samples = mode == ModeKeys::TRAIN ? config_.max_broken_samples : kMaxSamples;
  options->cache_dir = config_.cache_dir;
  if constexpr (requires { options->alpha; }) options->alpha = config_.alpha;
  options->remove_cache_on_finish = false;
}

std::unique_ptr<Dataset> ClassifierData::open(const std::string& split, ModeKeys mode) const {
  if (own_images()) return open_own(split, mode);
  refuse_decoded_cache();
  DatasetOptions options;
  set_common(mode, &options);
  return get_dataset(config_.dataset_name, split, config_.data_url, options);
}

void ClassifierData::refuse_decoded_cache() const {
  if (config_.cache == "decoded")
    throw InvalidArgumentError("--cache=decoded is for folders of images: leave it out for " + config_.data_url);
}

std::string ClassifierData::folder(const std::string& split) const {
  if (!own_images() || split.empty()) return config_.data_url;
  const bool of_train = splits() && (split == kTrain || split == kValidation || split == kAllImages);
  const std::string below = config_.data_url + "/" + (of_train ? kTrain : split);
  const bool whole = split == kAllImages || of_train;
  return whole && !is_split(below) ? config_.data_url : below;
}

void ClassifierData::check_split(const std::string& split) const {
  if (!own_images() || file::is_directory(folder(split))) return;
  std::vector<std::string> known = {kAllImages};
  if (splits()) known.insert(known.end(), {kTrain, kValidation});
  for (const std::string& name : file::list_directory(config_.data_url, {.skip_file = true}))
    if (is_split(config_.data_url + "/" + name)) known.push_back(name);
  throw NotFoundError(fmt::format("--split is '{}', but {} has no such folder; there is {}", split, config_.data_url,
                                  fmt::join(known, ", ")));
}

std::string ClassifierData::name(const std::string& split) const {
  return own_images() ? folder(split) : fmt::format("{} ({}, split {})", config_.data_url, config_.dataset_name, split);
}

void ClassifierData::check_labels_offset(const std::string& split) const {
  if (config_.labels_offset <= 0 || (own_images() && has_records(folder(split)))) return;
  const auto names = own_images() ? open_own(split, ModeKeys::EVAL)->class_names()
                                  : get_dataset_meta(config_.dataset_name).class_names;
  if (names.empty()) return;  // imagenet: its label 0 is no class
  throw InvalidArgumentError(
      fmt::format("--labels_offset is {}, but the classes of {} are numbered from 0: the label of '{}' would be {}, "
                  "which cannot be trained; leave --labels_offset out, it is for records whose first labels are no "
                  "classes",
                  config_.labels_offset, name(split), names[0], -config_.labels_offset));
}

bool ClassifierData::for_each_listed_label(const std::string& split,
                                           const std::function<void(int64_t label)>& each) const {
  if (!own_images() || has_records(folder(split))) return false;
  const ImageClassificationRawMetadata metadata = images_of(split);
  for (const auto& image : metadata.images()) each(image.label);
  return true;
}

ImageClassificationRawMetadata ClassifierData::images_of(const std::string& split) const {
  const std::string dir = folder(split);
  const ImageClassificationRawMetadata images = images_in(dir);
  if (!splits() || (split != kTrain && split != kValidation)) return images;
  const std::string key = fmt::format("{} of {}, {} of it by {} or {}", split, dir, config_.validation_split,
                                      config_.validation_seed, config_.split_dir);
  return found_once<ImageClassificationRawMetadata>(key, [&] {
    const ValidationSplit kept_back = validation_split();
    return images.subset(
        [&](const ImageFile& image) { return kept_back.images.count(image.name) == (split == kValidation ? 1 : 0); });
  });
}

std::unique_ptr<Dataset> ClassifierData::open_own(const std::string& split, ModeKeys mode) const {
  const std::string dir = folder(split);
  if (has_records(dir)) {
    refuse_decoded_cache();
    ImageTFRecordMetadataOptions known;
    // labels.txt tells how many labels there are. Without it: those that the network's classes stand for.
    if (config_.num_classes > 0 && !file::exists(dir + "/" + known.label_map_file))
      known.num_classes = config_.num_classes + std::max<int64_t>(config_.labels_offset, 0);
    ImageTFRecordDatasetOptions options;
    set_common(mode, &options);
    const auto records = found_once<ImageClassificationTFRecordMetadata>(
        fmt::format("{} of {} classes", dir, known.num_classes),
        [&] { return ImageClassificationTFRecordMetadata(dir, {kRecords}, known); });
    return std::make_unique<ImageClassificationTFRecordDataset>(records, options);
  }
  RawDatasetOptions options;
  set_common(mode, &options);
  options.cache = config_.cache;
  return std::make_unique<ImageClassificationRawDataset>(images_of(split), options);
}

}  // namespace mox::cli
