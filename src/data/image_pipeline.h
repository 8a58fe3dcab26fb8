// The part of the pipeline that all image data sets share: decode, augment, leave out what is broken, batch, prefetch.
#pragma once

#include "data/dataset_options.h"
#include "data/pipeline.h"
#include "data/sample_cache.h"
#include "moxing/image_dataset.h"

namespace mox::data {

// InvalidArgumentError for options of a data set on disk that cannot work.
template <typename Options>
void check_disk_options(const Options& options) {
  check_options(options);
  if (!options.cache_dir.empty()) SampleCache::check_folder(options.cache_dir);
}
// Beyond their ranges: images that cannot be joined to batches, or do not fit into memory.
void check_image_sizes(const ImageDatasetOptions& options);
// Decoded images are kept where there is a folder, and only where nobody else decodes.
void check_cache(const RawDatasetOptions& options);

// `encoded` has the components (image_name, file content, label, label_desc); the result has those that keys ask for.
// num_classes is for one-hot labels; 0 when it is not known. `further` names the components after the fourth, which
// pass as they are.
DatasetNode image_stages(const Scope& scope, const DatasetNode& encoded, const ImageDatasetOptions& options,
                         int64_t num_classes, const std::string& broken_counter, const std::vector<std::string>& keys,
                         const std::vector<std::string>& further = {});

// Leaves out elements that fail, at most max_broken different ones in all places of a pipeline that have one `counter`.
// must_deliver: an end without any element is an error; of an epoch that is repeated for ever.
DatasetNode skip_broken(const Scope& scope, const DatasetNode& input, int64_t max_broken, const std::string& counter,
                        bool must_deliver = false);
// A counter's name that no other pipeline of this process has.
std::string new_broken_counter();

// The label, or an error that has the name when it is not below num_classes; see check_label_op.cc.
tensorflow::Output checked_label(const Scope& scope, const tensorflow::Output& label, const tensorflow::Output& name,
                                 int64_t num_classes);

// The content, or an error that has the name when the file is empty or cut off, which a function of the user's cannot
// tell; see check_image_op.cc.
tensorflow::Output checked_image(const Scope& scope, const tensorflow::Output& content, const tensorflow::Output& name);

// Decodes one image file; see decode_op.cc. `mox predict` takes it too: what is trained on is what is predicted.
MOX_EXPORT tensorflow::Output decode(const Scope& scope, const tensorflow::Output& content,
                                     const tensorflow::Output& name, const std::optional<ImageSize>& size,
                                     bool apply_exif, int channels = 3, const std::string& alpha = "drop");

// The image files of a raw data set, read ahead: (name, content, label, label_desc).
struct RawFiles {
  std::string dir;
  ImageFiles files;
  std::vector<std::string> classes;        // of which a file's folder is one, by its number
  std::vector<tensorflow::Tensor> labels;  // label and label_desc with a row a file, where folders are no classes
};
DatasetNode read_raw_files(const Scope& scope, const RawFiles& raw, const RawDatasetOptions& options);

inline const std::vector<std::string>& image_keys() {
  static const std::vector<std::string> keys = {"image", "label", "label_desc", "image_name"};
  return keys;
}

}  // namespace mox::data
