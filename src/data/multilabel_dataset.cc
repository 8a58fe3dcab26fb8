#include <algorithm>

#include "base/limits.h"
#include "data/image_pipeline.h"
#include "data/labels_file.h"
#include "data/parallel.h"
#include "data/storage.h"
#include "data/wait_log.h"
#include "moxing/error.h"
#include "moxing/log.h"

namespace mox {

namespace tf = tensorflow;

namespace {

constexpr int kReadThreads = 32;

}  // namespace

MultilabelClassificationRawDataset::MultilabelClassificationRawDataset(MultilabelClassificationRawMetadata metadata,
                                                                       MultilabelDatasetOptions options)
    : metadata_(std::move(metadata)), options_(std::move(options)) {
  data::check_disk_options(options_);
  data::check_image_sizes(options_);
  data::check_cache(options_);
  if (options_.label_sep.empty())
    throw InvalidArgumentError("label_sep is empty, expected what stands between two labels");
  options_.label_one_hot = false;
  data::LeftOut skipped;
  images_ = metadata_.images().subset([&](const ImageFile& image) {
    if (metadata_.has_label_file(image)) return true;
    if (!options_.skip_label_not_found)
      throw NotFoundError("image " + data::join_path(metadata_.data_dir(), image.name) + " has no label file " +
                          metadata_.label_path(image) + "; set skip_label_not_found to leave such images out");
    skipped.add(image.name);
    return false;
  });
  if (skipped.count() > 0)
    log_warning("data folder " + metadata_.data_dir() + ": " + std::to_string(skipped.count()) +
                " images have no label file and are left out: " + skipped.text());
  if (images_.empty()) throw DataError("data folder " + metadata_.data_dir() + " has no image with a label file");

  labels_.resize(images_.size());
  descriptions_.resize(images_.size());
  const auto numbers = metadata_.names_to_labels();
  data::WaitLog wait_log("reading the labels of " + metadata_.data_dir(), "files", num_samples());
  data::parallel_for(images_.size(), kReadThreads, [&](size_t i) {
    const std::string path = metadata_.label_path(images_[i]);
    for (const auto& name : data::names_in_label_file(path, options_.label_sep, numbers)) {
      labels_[i].push_back(numbers.at(name));
      descriptions_[i] += (descriptions_[i].empty() ? "" : options_.label_sep) + name;
    }
    wait_log.add(1);
  });
  tell_unused_classes();
}

void MultilabelClassificationRawDataset::tell_unused_classes() const {
  std::vector<bool> used(static_cast<size_t>(metadata_.num_classes()));
  for (const auto& of_image : labels_)
    for (int64_t label : of_image) used[static_cast<size_t>(label)] = true;
  data::LeftOut unused;
  for (size_t i = 0; i < used.size(); ++i)
    if (!used[i]) unused.add(metadata_.labels_list()[i]);
  if (unused.count() > 0)
    log_warning("data folder " + metadata_.data_dir() + ": no image has the label " + unused.text());
}

std::vector<std::string> MultilabelClassificationRawDataset::keys() const { return data::image_keys(); }

Dataset::Pipeline MultilabelClassificationRawDataset::build(const Scope& scope, const std::vector<std::string>& keys) {
  const auto count = static_cast<int64_t>(images_.size());
  check_fits_memory(std::to_string(count) + " labels of " + std::to_string(metadata_.num_classes()) + " numbers in " +
                        metadata_.data_dir(),
                    sizeof(float) * static_cast<double>(count) * static_cast<double>(metadata_.num_classes()),
                    "are these the names of classes? check the label files");
  tf::Tensor labels(tf::DT_FLOAT, {count, metadata_.num_classes()}), descriptions(tf::DT_STRING, {count});
  labels.flat<float>().setZero();
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t label : labels_[i]) labels.matrix<float>()(i, label) = 1;
    descriptions.vec<tf::tstring>()(i) = descriptions_[i];
  }
  const auto files = data::read_raw_files(scope, {metadata_.data_dir(), images_, {}, {labels, descriptions}}, options_);
  return {data::image_stages(scope, files, options_, metadata_.num_classes(), data::new_broken_counter(), keys)};
}

}  // namespace mox
