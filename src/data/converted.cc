// mnist and cifar10 as TF-slim's download_and_convert_data.py leaves them: one TFRecord file a split.
#include "data/builtin.h"
#include "data/dataset_options.h"
#include "data/image_pipeline.h"
#include "data/storage.h"
#include "moxing/tfrecord.h"

namespace mox::data {

namespace tf = tensorflow;

namespace {

class ConvertedDataset : public BaseTFRecordDataset {
 public:
  ConvertedDataset(BaseTFRecordMetadata files, TFRecordDatasetOptions options, DatasetMeta meta)
      : BaseTFRecordDataset(std::move(files), std::move(options)), meta_(std::move(meta)) {}

  std::vector<std::string> keys() const override { return {"image", "label"}; }
  std::vector<std::string> class_names() const override { return meta_.class_names; }

 protected:
  KeysToFeatures keys_to_features() const override {
    return {{"image/encoded", {}}, {"image/class/label", {tf::DT_INT64, {}, false, std::nullopt}}};
  }
  ItemsToHandlers items_to_handlers() const override {
    const auto& shape = meta_.image_shape;
    return {{"image",
             [shape](const Scope& scope, const ParsedFeatures& features, const tf::Output& name) {
               return decode(scope, features.at("image/encoded"), name, ImageSize{shape[0], shape[1]}, false,
                             static_cast<int>(shape[2]));
             }},
            {"label",
             [classes = meta_.num_classes](const Scope& scope, const ParsedFeatures& features, const tf::Output& name) {
               return checked_label(scope, features.at("image/class/label"), name, classes);
             }}};
  }

 private:
  DatasetMeta meta_;
};

}  // namespace

std::unique_ptr<Dataset> open_converted(const DatasetMeta& meta, const std::string& split, const std::string& dir,
                                        const DatasetOptions& options) {
  const std::string name = meta.name + "_" + split + ".tfrecord";
  if (!file_exists(join_path(dir, name))) return nullptr;
  TFRecordDatasetOptions read;
  copy_options(options, &read);
  read.shuffle = options.shuffle.value_or(split == meta.splits_to_sizes.front().first);
  read.shuffle_buffer_size = options.capacity;
  return std::make_unique<ConvertedDataset>(BaseTFRecordMetadata(dir, {name}), read, meta);
}

}  // namespace mox::data
