#include "data/image_pipeline.h"
#include "moxing/error.h"

namespace mox {

ImageClassificationRawDataset::ImageClassificationRawDataset(ImageClassificationRawMetadata metadata,
                                                             RawDatasetOptions options)
    : metadata_(std::move(metadata)), options_(std::move(options)) {
  data::check_disk_options(options_);
  data::check_image_sizes(options_);
  data::check_cache(options_);
}

std::vector<std::string> ImageClassificationRawDataset::keys() const { return data::image_keys(); }

Dataset::Pipeline ImageClassificationRawDataset::build(const Scope& scope, const std::vector<std::string>& keys) {
  const auto files =
      data::read_raw_files(scope, {metadata_.data_dir(), metadata_.images(), metadata_.labels_list(), {}}, options_);
  return {data::image_stages(scope, files, options_, metadata_.num_classes(), data::new_broken_counter(), keys)};
}

}  // namespace mox
