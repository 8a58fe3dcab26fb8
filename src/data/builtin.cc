// The table of built-in data sets: a new one is a line here and a function that opens it.
#include "data/builtin.h"

#include "base/limits.h"
#include "base/near_name.h"
#include "base/registry.h"
#include "data/dataset_options.h"
#include "data/idx.h"
#include "data/memory_dataset.h"
#include "data/pipeline.h"
#include "data/storage.h"
#include "moxing/dataset.h"
#include "moxing/error.h"
#include "moxing/tfrecord.h"

namespace mox {

namespace data {
namespace {

const std::vector<std::string> kDigits = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
const std::vector<std::string> kClothes = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                                           "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};
const std::vector<std::string> kThings = {"airplane", "automobile", "bird",  "cat",  "deer",
                                          "dog",      "frog",       "horse", "ship", "truck"};
const std::vector<std::string> kFlowers = {"daisy", "dandelion", "roses", "sunflowers", "tulips"};

struct RegisteredDataset {
  DatasetMeta meta;
  DatasetOpener open;
};

// The files as published, or as TF-slim converts them.
DatasetOpener or_converted(DatasetOpener open) {
  return [open = std::move(open)](const DatasetMeta& meta, const std::string& split, const std::string& dir,
                                  const DatasetOptions& options) {
    if (auto converted = open_converted(meta, split, dir, options)) return converted;
    return open(meta, split, dir, options);
  };
}

std::vector<RegisteredDataset> builtin_datasets() {
  return {
      {{"mnist", {{"train", 60000}, {"test", 10000}}, 10, {28, 28, 1}, kDigits}, or_converted(open_idx)},
      {{"fashion_mnist", {{"train", 60000}, {"test", 10000}}, 10, {28, 28, 1}, kClothes}, or_converted(open_idx)},
      {{"cifar10", {{"train", 50000}, {"test", 10000}}, 10, {32, 32, 3}, kThings}, or_converted(open_cifar10)},
      {{"flowers", {{"train", 3320}, {"validation", 350}}, 5, {-1, -1, 3}, kFlowers}, open_slim_records},
      {{"imagenet", {{"train", 1281167}, {"validation", 50000}}, 1001, {-1, -1, 3}, {}}, open_slim_records},
  };
}

Registry<RegisteredDataset>& registry() {
  static auto* all = [] {
    auto* filling = new Registry<RegisteredDataset>("data set");
    for (RegisteredDataset& dataset : builtin_datasets()) {
      const std::string name = dataset.meta.name;
      filling->add(name, std::move(dataset), kBuiltIn);
    }
    return filling;
  }();
  return *all;
}

const RegisteredDataset& find_dataset(const std::string& name) {
  if (const RegisteredDataset* found = registry().find(name)) return *found;
  throw InvalidArgumentError("there is no built-in data set '" + name + "'; there are: " + listed(dataset_names()) +
                             did_you_mean(name, dataset_names()));
}

// The file as published or unpacked.
std::string plain_or_gz(const std::string& dir, const std::string& name) {
  const std::string plain = join_path(dir, name);
  if (file_exists(plain)) return plain;
  if (file_exists(plain + ".gz")) return plain + ".gz";
  throw NotFoundError("data set folder " + dir + " has neither " + name + " nor " + name + ".gz");
}

}  // namespace

std::unique_ptr<Dataset> open_idx(const DatasetMeta& meta, const std::string& split, const std::string& dir,
                                  const DatasetOptions& options) {
  const std::string prefix = split == "train" ? "train" : "t10k";
  const std::string image_path = plain_or_gz(dir, prefix + "-images-idx3-ubyte");
  const std::string label_path = plain_or_gz(dir, prefix + "-labels-idx1-ubyte");
  const tensorflow::Tensor images = read_idx_images(image_path);
  const tensorflow::Tensor labels = read_idx_labels(label_path, meta.num_classes);
  if (images.dim_size(1) != meta.image_shape[0] || images.dim_size(2) != meta.image_shape[1])
    throw DataError("data file " + image_path + " is broken at byte 8: images of " +
                    std::to_string(images.dim_size(1)) + "x" + std::to_string(images.dim_size(2)) + ", expected " +
                    std::to_string(meta.image_shape[0]) + "x" + std::to_string(meta.image_shape[1]));
  if (images.dim_size(0) != labels.dim_size(0))
    throw DataError("data files do not belong together: " + image_path + " has " + std::to_string(images.dim_size(0)) +
                    " images (byte 4), " + label_path + " has " + std::to_string(labels.dim_size(0)) +
                    " labels (byte 4)");
  return std::make_unique<MemoryDataset>(MemoryColumns{{{"image", images}, {"label", labels}}, meta.class_names},
                                         split == "train", options);
}

namespace {

// A builtin's records have the names of its table line when labels.txt is not there.
class SlimRecords : public ImageClassificationTFRecordDataset {
 public:
  SlimRecords(ImageClassificationTFRecordMetadata metadata, ImageTFRecordDatasetOptions options,
              std::vector<std::string> names)
      : ImageClassificationTFRecordDataset(std::move(metadata), std::move(options)), names_(std::move(names)) {}
  std::vector<std::string> class_names() const override {
    const auto found = ImageClassificationTFRecordDataset::class_names();
    return found.empty() ? names_ : found;
  }

 private:
  std::vector<std::string> names_;
};

}  // namespace

std::unique_ptr<Dataset> open_slim_records(const DatasetMeta& meta, const std::string& split, const std::string& dir,
                                           const DatasetOptions& options) {
  if (options.batch_size > 0)
    throw InvalidArgumentError(
        "data set " + meta.name +
        " has images of different sizes, which cannot be joined to batches: leave out batch_size "
        "and resize the images, or use ImageClassificationTFRecordDataset with image_size");
  const bool flowers = meta.name == "flowers";
  const std::string pattern = flowers ? "flowers_" + split + "_*.tfrecord" : split + "-*";
  const size_t published_files = flowers ? 5 : split == "train" ? 1024 : 128;
  ImageTFRecordMetadataOptions metadata_options;
  metadata_options.num_classes = meta.num_classes;
  metadata_options.num_samples = meta.split_size(split);
  auto metadata = std::make_unique<ImageClassificationTFRecordMetadata>(dir, std::vector{pattern}, metadata_options);
  if (metadata->files().size() != published_files) {  // a part of it: count
    metadata_options.num_samples = 0;
    metadata = std::make_unique<ImageClassificationTFRecordMetadata>(dir, std::vector{pattern}, metadata_options);
  }
  ImageTFRecordDatasetOptions read;
  copy_options(options, &read);
  read.shuffle = options.shuffle.value_or(split == "train");
  read.shuffle_buffer_size = options.capacity;
  return std::make_unique<SlimRecords>(*metadata, read, meta.class_names);
}

}  // namespace data

int64_t DatasetMeta::split_size(const std::string& split_name) const {
  std::vector<std::string> names;
  for (const auto& [split, size] : splits_to_sizes) {
    if (split == split_name) return size;
    names.push_back(split);
  }
  throw InvalidArgumentError("data set " + name + " has no split '" + split_name +
                             "'; it has: " + data::join_names(names));
}

DatasetMeta get_dataset_meta(const std::string& name) { return data::find_dataset(name).meta; }

std::vector<std::string> dataset_names() { return data::registry().names(); }

std::unique_ptr<Dataset> get_dataset(const std::string& name, const std::string& split_name,
                                     const std::string& dataset_dir, const DatasetOptions& options) {
  const data::RegisteredDataset& dataset = data::find_dataset(name);
  dataset.meta.split_size(split_name);
  data::check_options(options);
  auto opened = dataset.open(dataset.meta, split_name, dataset_dir, options);
  if (!opened) throw InvalidArgumentError("data set '" + name + "': the function that opens it returned none");
  return opened;
}

void register_dataset(const DatasetMeta& meta, DatasetOpener open) {
  const std::string who = "register_dataset('" + meta.name + "'): ";
  if (!open) throw InvalidArgumentError(who + "the function that opens it is empty");
  if (meta.splits_to_sizes.empty())
    throw InvalidArgumentError(who + "splits_to_sizes is empty; expected one split or more, the one to train on first");
  check_integer(who + "num_classes", meta.num_classes, 1, kMaxClasses);
  if (meta.image_shape.size() != 3)
    throw InvalidArgumentError(who + "image_shape has " + std::to_string(meta.image_shape.size()) +
                               " numbers, expected height, width and channels; -1 where images differ");
  data::registry().add(meta.name, {meta, std::move(open)});
}

}  // namespace mox
