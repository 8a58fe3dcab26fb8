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

// What all data sets of images share.
struct ImageDatasetOptions {
  int64_t batch_size = 0;              // > 0: batches; then image_size, preprocess_fn or augmentation_fn must be given
  int64_t num_epochs = 0;              // 0: forever
  bool shuffle = true;                 // each epoch in another order
  std::string cache_dir;               // the first epoch writes to it, later ones read it; ENV: ${DLS_LOCAL_CACHE_PATH}
  bool remove_cache_on_finish = true;  // false: the next run uses it again
  PreprocessFn preprocess_fn;          // default: decode, and resize to image_size by nearest neighbour
  int64_t preprocess_threads = 12;     // samples that are decoded and augmented at once
  std::optional<ImageSize> image_size;  // resize to this
  int64_t private_num_threads = 0;      // > 0: the pipeline runs in that many threads of its own
  bool drop_remainder = false;          // drop a last batch that is not full
  AugmentationFn augmentation_fn;       // runs on each decoded image
  bool label_one_hot = false;           // the label as a float vector [num_classes]
  int64_t seed = 0;                     // 0: the graph's seed, and without one another order in each run
  int64_t max_broken_samples = 0;  // that many broken samples are left out, each named in the log; then it is an error
  bool apply_exif_orientation = false;  // turn images as their EXIF data say
  int64_t shard_index = 0;              // this worker's part of each epoch …
  int64_t num_shards = 0;               // … of that many, with the same seed; 0: as task_index and worker_hosts say
};

struct RawDatasetOptions : ImageDatasetOptions {
  int64_t num_readers = 8;           // files that are read at once
  int64_t shuffle_buffer_size = 16;  // kept for old callers: the whole epoch is shuffled, which is more
  int64_t capacity = 256;            // files that are read ahead
  std::string reader_class;  // ParallelReader (default), or AsyncRawGenerator for object stores: 64 reads at once
  std::map<std::string, int64_t> reader_kwargs;  // num_readers, capacity: override the above
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
  std::string label_sep = "\n";       // between the names in a label file; with the default also blanks
  bool skip_label_not_found = false;  // leave out images without a label file; else they are an error
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
  std::vector<ImageFile> images_;             // those with labels
  std::vector<std::vector<int64_t>> labels_;  // of each image
  std::vector<std::string> descriptions_;
};

}  // namespace mox
