// Data sets of image files: one folder a class, or several labels an image.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "moxing/dataset.h"
#include "moxing/metadata.h"
#include "moxing/preprocessing.h"

namespace mox {

struct ImageSize {
  int64_t height = 0;
  int64_t width = 0;
};

// The outputs that replace (image_name, image_buf, label, label_desc). image_buf holds the file as it is. With a batch
// size every tensor has the batch dimension in front.
struct RawSample {
  tensorflow::Output image_name;
  tensorflow::Output image;  // the file's bytes going in; whatever the function made of them coming out
  tensorflow::Output label;
  tensorflow::Output label_desc;
};
using PreprocessFn = std::function<RawSample(const Scope& scope, const RawSample& sample)>;

// num_readers, capacity
using ReaderKwargs = std::map<std::string, int64_t>;

// What all data sets of images share. What the fields of all options mean: moxing/dataset_options.inc.
struct ImageDatasetOptions {
#define MOX_ANY_DATASET MOX_OPTION_FIELD
#define MOX_DISK_DATASET MOX_OPTION_FIELD
#define MOX_IMAGE_DATASET MOX_OPTION_FIELD
#include "moxing/dataset_options.inc"
};

struct RawDatasetOptions : ImageDatasetOptions {
#define MOX_READ_AHEAD MOX_OPTION_FIELD
#define MOX_RAW_DATASET MOX_OPTION_FIELD
#include "moxing/dataset_options.inc"
};

// Keys: image (uint8 [height, width, 3], or what preprocess_fn and augmentation_fn make of it), label (int64),
// label_desc and image_name (strings). InvalidArgumentError for options out of range, for a batch_size without a way to
// one size of image, for another reader_class and for reader_kwargs that it has not. A file that is no image ends the
// run with its name, unless max_broken_samples allows it.
class MOX_EXPORT ImageClassificationRawDataset : public Dataset {
 public:
  explicit ImageClassificationRawDataset(ImageClassificationRawMetadata metadata, RawDatasetOptions options = {});

  std::vector<std::string> keys() const override;
  int64_t num_samples() const override { return metadata_.total_num_samples(); }
  std::vector<std::string> class_names() const override { return metadata_.labels_list(); }

 protected:
  Pipeline build(const Scope& scope, const std::vector<std::string>& keys) override;

 private:
  ImageClassificationRawMetadata metadata_;
  RawDatasetOptions options_;
};

struct MultilabelDatasetOptions : RawDatasetOptions {
#define MOX_MULTILABEL_DATASET MOX_OPTION_FIELD
#include "moxing/dataset_options.inc"
};

// Keys: image, label, label_desc (the names, joined by label_sep), image_name. The label is multi-hot: float
// [num_classes], 1 for each of the image's labels. label_one_hot is not used. Errors as above, and NotFoundError for an
// image without a label file, DataError when no image has one.
class MOX_EXPORT MultilabelClassificationRawDataset : public Dataset {
 public:
  explicit MultilabelClassificationRawDataset(MultilabelClassificationRawMetadata metadata,
                                              MultilabelDatasetOptions options = {});

  std::vector<std::string> keys() const override;
  int64_t num_samples() const override { return static_cast<int64_t>(images_.size()); }
  std::vector<std::string> class_names() const override { return metadata_.labels_list(); }

 protected:
  Pipeline build(const Scope& scope, const std::vector<std::string>& keys) override;

 private:
  void tell_unused_classes() const;

  MultilabelClassificationRawMetadata metadata_;
  MultilabelDatasetOptions options_;
  ImageFiles images_;                         // those with labels
  std::vector<std::vector<int64_t>> labels_;  // of each image
  std::vector<std::string> descriptions_;
};

}  // namespace mox
