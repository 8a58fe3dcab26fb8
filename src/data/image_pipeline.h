// The part of the pipeline that all image data sets share: decode, augment, leave out what is broken, batch, prefetch.
#pragma once

#include "data/pipeline.h"
#include "moxing/image_dataset.h"

namespace mox::data {

// InvalidArgumentError for options that make no sense.
void check_image_options(const ImageDatasetOptions& options);

// `encoded` has the components (image_name, file content, label, label_desc); the result has those that keys ask for.
// num_classes is for one-hot labels; 0 when it is not known.
DatasetNode image_stages(const Scope& scope, const DatasetNode& encoded, const ImageDatasetOptions& options,
                         int64_t num_classes, const std::vector<std::string>& keys);

// Leaves out at most max_broken elements that fail; see skip_broken_op.cc.
DatasetNode skip_broken(const Scope& scope, const DatasetNode& input, int64_t max_broken);

// Decodes one image file; see decode_op.cc.
tensorflow::Output decode(const Scope& scope, const tensorflow::Output& content, const tensorflow::Output& name,
                          const std::optional<ImageSize>& size, bool apply_exif);

// The image files of a raw data set, read ahead: (name, content, `extra`…). The extra columns have a row a file.
struct RawFiles {
  std::string dir;
  const std::vector<ImageFile>* files;
  std::vector<tensorflow::Tensor> extra;
};
DatasetNode read_raw_files(const Scope& scope, const RawFiles& raw, const RawDatasetOptions& options);

inline const std::vector<std::string>& image_keys() {
  static const std::vector<std::string> keys = {"image", "label", "label_desc", "image_name"};
  return keys;
}

}  // namespace mox::data
