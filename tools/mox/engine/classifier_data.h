// The samples that a classifier is trained or evaluated on: a built-in data set, or the user's own images.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/classifier.h"
#include "engine/validation_split.h"

namespace mox::cli {

// The name of own images that lie in no splits.
constexpr char kAllImages[] = "all";

// With --dataset_name: the data set of that name. Without: --data_url holds class folders (daisy/1.jpg) or *.tfrecord
// files as TF-slim writes them, in itself or in a folder for each split. With a validation_split the images to train on
// are the splits `train`, those that it keeps back, and `validation`.
class ClassifierData {
 public:
  explicit ClassifierData(const ClassifierConfig& config) : config_(config) {}

  // The split to train on: the data set's first; of own images `train`, or `all` of data_url.
  std::string train_split() const;
  // Where a split of own images lies; data_url where they are not in parts.
  std::string folder(const std::string& split) const;
  // The data set's last; of own images the folder eval, validation, val or test, or what validation_split keeps back;
  // else the split that is trained on.
  std::string eval_split() const;
  // NotFoundError when own images have no such part.
  void check_split(const std::string& split) const;
  // Whether a training trains on samples of the split.
  bool is_trained_on(const std::string& split) const;
  // InvalidArgumentError when validation_split is given and cannot be had.
  void check_validation_split() const;
  // What validation_split keeps back: as the run's folder has it, else made anew.
  ValidationSplit validation_split() const;
  // In one epoch, over all workers.
  int64_t num_samples(const std::string& split) const;
  // How many samples of one epoch, over all workers, are of each of the network's classes. Class folders are only
  // counted; of other data every sample's label is read.
  struct ClassCounts {
    std::vector<int64_t> counts;     // by class
    std::vector<std::string> names;  // of the classes; empty: not known
  };
  ClassCounts class_counts(const std::string& split, const std::vector<std::string>& run_classes) const;
  // InvalidArgumentError when the labels begin at 0, so that with the offset the first class could not be trained.
  void check_labels_offset(const std::string& split) const;
  // For errors: the folder, and of which built-in data set it is.
  std::string name(const std::string& split) const;
  // `mode` decides on shuffling and repeating, and on what is broken: where nothing is trained all of it is left out.
  std::unique_ptr<Dataset> open(const std::string& split, ModeKeys mode) const;

 private:
  // Of class folders, whose lists have the labels; false for other data.
  bool for_each_listed_label(const std::string& split, const std::function<void(int64_t label)>& each) const;
  bool own_images() const { return config_.dataset_name.empty(); }
  bool splits() const { return own_images() && config_.validation_split > 0; }
  std::string split_folder(const std::vector<std::string>& names) const;
  // InvalidArgumentError with --cache=decoded: of other data than folders of images.
  void refuse_decoded_cache() const;
  template <typename Options>
  void set_common(ModeKeys mode, Options* options) const;
  std::unique_ptr<Dataset> open_own(const std::string& split, ModeKeys mode) const;
  // Of class folders; without those that --validation_split keeps back, or these alone.
  ImageClassificationRawMetadata images_of(const std::string& split) const;

  const ClassifierConfig& config_;
};

}  // namespace mox::cli
