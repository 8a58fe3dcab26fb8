// What every data set is, and the built-in ones by name.
//
// A data set adds a tf.data pipeline to the graph: reading, decoding and batching run in the runtime's threads.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "moxing/export.h"
#include "moxing/scope.h"
#include "tensorflow/cc/framework/ops.h"

namespace mox {

#define MOX_OPTION_FIELD(type, name, by_default, ...) type name = by_default;

// Of the built-in data sets and those in memory; what the fields mean: moxing/dataset_options.inc. In memory and in
// formats that are read whole, a broken sample is an error, and there is no cache.
struct DatasetOptions {
#define MOX_READ_AHEAD MOX_OPTION_FIELD
#define MOX_BUILTIN_DATASET MOX_OPTION_FIELD
#define MOX_ANY_DATASET MOX_OPTION_FIELD
#include "moxing/dataset_options.inc"
};

// What input_fn takes samples from: made by get_dataset, or one of the classes of datasets.h.
// Subclass it for samples of any kind: keys, num_samples, class_names and build, which makes the pipeline of the
// functions in dataset_graph.h.
class MOX_EXPORT Dataset {
 public:
  virtual ~Dataset();

  // One output a key, in their order, of the next sample (or batch). Each call makes an iterator of its own.
  // InvalidArgumentError for a key that is not in keys().
  std::vector<tensorflow::Output> get(const Scope& scope, const std::vector<std::string>& keys);

  // What get() knows, in the data set's order: "image", "label", ….
  virtual std::vector<std::string> keys() const = 0;
  // Samples in one epoch of the whole data set, all shards.
  virtual int64_t num_samples() const = 0;
  // In the order of the labels; empty when they are not known.
  virtual std::vector<std::string> class_names() const = 0;

 protected:
  struct Pipeline;  // dataset_graph.h: the dataset node that has one component a key
  // Adds the pipeline to the graph of `scope`: elements are samples, of the keys asked for in their order (each is one
  // of keys()), or batches where the data set's options say so. What repeats, shuffles, shards and resumes is the
  // data set's to add; checked_order and sample_numbers do all four.
  virtual Pipeline build(const Scope& scope, const std::vector<std::string>& keys) = 0;
};

struct DatasetMeta {
  std::string name;
  std::vector<std::pair<std::string, int64_t>> splits_to_sizes;  // the split to train on first
  int64_t num_classes = 0;
  std::vector<int64_t> image_shape;      // height, width, channels; -1: differs from image to image
  std::vector<std::string> class_names;  // in the order of the labels; empty: in labels.txt beside the data

  // InvalidArgumentError that lists the splits when there is none of that name.
  MOX_EXPORT int64_t split_size(const std::string& split_name) const;
};

// mnist, fashion_mnist, …; an unknown name is an InvalidArgumentError that lists the known ones.
MOX_EXPORT DatasetMeta get_dataset_meta(const std::string& name);
// The names that get_dataset and get_dataset_meta know.
MOX_EXPORT std::vector<std::string> dataset_names();

// The built-in data set `name`, read from the files in dataset_dir as they are published, or as TF-slim converts them
// (NAME_SPLIT.tfrecord). NotFoundError when they are not there, DataError (path, offset, what was expected) when they
// are broken. Keys: image, label.
MOX_EXPORT std::unique_ptr<Dataset> get_dataset(const std::string& name, const std::string& split_name,
                                                const std::string& dataset_dir, const DatasetOptions& options = {});

// Opens the data set's split, which is one of meta.splits_to_sizes. Needs the keys image (uint8, [height, width, 1 or
// 3]) and label (an integer scalar) to be trained on by `mox train`.
using DatasetOpener =
    std::function<std::unique_ptr<Dataset>(const DatasetMeta& meta, const std::string& split_name,
                                           const std::string& dataset_dir, const DatasetOptions& options)>;
// From then on get_dataset, get_dataset_meta, --dataset_name and Python know meta.name. From any thread.
// InvalidArgumentError when the name is taken (it tells by whom) or cannot be one, when `meta` has no split, no classes
// or an image_shape that is not three numbers, or `open` is empty.
MOX_EXPORT void register_dataset(const DatasetMeta& meta, DatasetOpener open);

}  // namespace mox
