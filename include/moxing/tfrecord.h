// TFRecord files of tf.Example: image data sets as TF-slim writes them, and data sets of any features.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "moxing/dataset.h"
#include "moxing/image_dataset.h"
#include "moxing/metadata.h"
#include "tensorflow/core/framework/tensor.h"

namespace mox {

// One feature of a tf.Example: of a fixed shape, or as long as the record has it.
struct Feature {
  tensorflow::DataType dtype = tensorflow::DT_STRING;  // DT_STRING, DT_INT64 or DT_FLOAT
  std::vector<int64_t> shape;                          // {}: a scalar; not used when var_len
  bool var_len = false;                                // a vector of all the values there are
  std::optional<tensorflow::Tensor> default_value;     // when a record lacks it; without one that is an error
};
using KeysToFeatures = std::map<std::string, Feature>;

// The parsed features of one record.
using ParsedFeatures = std::map<std::string, tensorflow::Output>;
// Makes one item out of them. `name` is the record's, for messages: "path, record at byte N".
using ItemHandler = std::function<tensorflow::Output(const Scope& scope, const ParsedFeatures& features,
                                                     const tensorflow::Output& name)>;
using ItemsToHandlers = std::vector<std::pair<std::string, ItemHandler>>;

// The feature as it is. InvalidArgumentError, when the data set is built, for one that keys_to_features lacks.
MOX_EXPORT ItemHandler tensor_handler(const std::string& feature);
// The feature's bytes, decoded to a uint8 image [height, width, 3]; resized where a size is given. Bytes that are no
// image are a broken sample: see max_broken_samples. Errors as tensor_handler.
MOX_EXPORT ItemHandler image_handler(const std::string& feature = "image/encoded",
                                     const std::optional<ImageSize>& size = std::nullopt);

struct TFRecordDatasetOptions {
#define MOX_ANY_DATASET MOX_OPTION_FIELD
#define MOX_DISK_DATASET MOX_OPTION_FIELD
#define MOX_RECORD_DATASET MOX_OPTION_FIELD
#include "moxing/dataset_options.inc"
};

// Records of any features. Subclass it to give the features and items another way. InvalidArgumentError for options out
// of range, for a default that does not fit its feature, and for an item that asks for a feature that is not given. A
// record that is broken, or lacks a feature, ends the run with the record's name, unless max_broken_samples allows it.
class MOX_EXPORT BaseTFRecordDataset : public Dataset {
 public:
  BaseTFRecordDataset(BaseTFRecordMetadata metadata, KeysToFeatures features, ItemsToHandlers items,
                      TFRecordDatasetOptions options = {});

  std::vector<std::string> keys() const override;
  int64_t num_samples() const override { return metadata_.num_samples(); }
  std::vector<std::string> class_names() const override { return {}; }

 protected:
  explicit BaseTFRecordDataset(BaseTFRecordMetadata metadata, TFRecordDatasetOptions options);
  virtual KeysToFeatures keys_to_features() const { return features_; }
  virtual ItemsToHandlers items_to_handlers() const { return items_; }
  // The items `keys` of one record, for data sets that compute several together; by default each one's handler.
  virtual std::vector<tensorflow::Output> build_items(const Scope& scope, const std::vector<std::string>& keys,
                                                      const ParsedFeatures& features,
                                                      const tensorflow::Output& name) const;
  Pipeline build(const Scope& scope, const std::vector<std::string>& keys) override;

 private:
  BaseTFRecordMetadata metadata_;
  KeysToFeatures features_;
  ItemsToHandlers items_;
  TFRecordDatasetOptions options_;
};

// The data set of the files in dataset_dir that match the pattern. num_samples 0: counted from the record headers.
// Errors as BaseTFRecordMetadata and BaseTFRecordDataset.
MOX_EXPORT std::unique_ptr<Dataset> get_tfrecord(const std::string& dataset_dir, const std::string& file_pattern,
                                                 const KeysToFeatures& keys_to_features,
                                                 const ItemsToHandlers& items_to_handlers, int64_t num_samples = 0,
                                                 const TFRecordDatasetOptions& options = {});

struct ImageTFRecordDatasetOptions : ImageDatasetOptions {
#define MOX_RECORD_DATASET MOX_OPTION_FIELD
#define MOX_IMAGE_RECORDS MOX_OPTION_FIELD
#include "moxing/dataset_options.inc"
};

// Records with image/encoded, image/format and image/class/label, as TF-slim writes them. Keys: image, label,
// label_desc, image_name ("path, record at byte N"), and the custom feature keys. InvalidArgumentError for options out
// of range, for label_one_hot where the metadata knows no number of classes, and for keys without their values.
class MOX_EXPORT ImageClassificationTFRecordDataset : public Dataset {
 public:
  explicit ImageClassificationTFRecordDataset(ImageClassificationTFRecordMetadata metadata,
                                              ImageTFRecordDatasetOptions options = {});

  std::vector<std::string> keys() const override;
  int64_t num_samples() const override { return metadata_.num_samples(); }
  std::vector<std::string> class_names() const override { return metadata_.labels_list(); }

 protected:
  Pipeline build(const Scope& scope, const std::vector<std::string>& keys) override;

 private:
  ImageClassificationTFRecordMetadata metadata_;
  ImageTFRecordDatasetOptions options_;
};

}  // namespace mox
