#include <algorithm>

#include "data/image_pipeline.h"
#include "data/labels_file.h"
#include "data/parallel.h"
#include "data/storage.h"
#include "moxing/error.h"
#include "moxing/log.h"

namespace mox {

namespace tf = tensorflow;

namespace {

constexpr int kReadThreads = 32;

std::vector<std::string> split_names(const std::string& content, const std::string& separator) {
  constexpr char kBlank[] = " \t\r\n";
  std::vector<std::string> names;
  for (size_t at = 0; at <= content.size();) {
    const size_t end = std::min(content.find(separator, at), content.size());
    const std::string part = content.substr(at, end - at);
    const size_t begin = part.find_first_not_of(kBlank);
    if (begin != std::string::npos) names.push_back(part.substr(begin, part.find_last_not_of(kBlank) + 1 - begin));
    at = end + separator.size();
  }
  return names;
}

}  // namespace

MultilabelClassificationRawDataset::MultilabelClassificationRawDataset(MultilabelClassificationRawMetadata metadata,
                                                                       MultilabelDatasetOptions options)
    : metadata_(std::move(metadata)), options_(std::move(options)) {
  data::check_image_options(options_);
  if (options_.label_sep.empty())
    throw InvalidArgumentError("label_sep is empty, expected what stands between two labels");
  options_.label_one_hot = false;
  data::LeftOut skipped;
  for (const auto& image : metadata_.images()) {
    if (metadata_.has_label_file(image))
      images_.push_back(image);
    else if (!options_.skip_label_not_found)
      throw NotFoundError("image " + data::join_path(metadata_.data_dir(), image.name) + " has no label file " +
                          metadata_.label_path(image) + "; set skip_label_not_found to leave such images out");
    else
      skipped.add(image.name);
  }
  if (skipped.count() > 0)
    log_warning("data folder " + metadata_.data_dir() + ": " + std::to_string(skipped.count()) +
                " images have no label file and are left out: " + skipped.text());
  if (images_.empty()) throw DataError("data folder " + metadata_.data_dir() + " has no image with a label file");

  labels_.resize(images_.size());
  descriptions_.resize(images_.size());
  const auto numbers = metadata_.names_to_labels();
  data::parallel_for(images_.size(), kReadThreads, [&](size_t i) {
    const std::string path = metadata_.label_path(images_[i]);
    for (const auto& name : names_in(path, numbers)) {
      labels_[i].push_back(numbers.at(name));
      descriptions_[i] += (descriptions_[i].empty() ? "" : options_.label_sep) + name;
    }
  });
  tell_unused_classes();
}

// By label_sep. With the default, a line that is no class may be several, with blanks between them.
std::vector<std::string> MultilabelClassificationRawDataset::names_in(
    const std::string& path, const std::map<std::string, int64_t>& classes) const {
  std::vector<std::string> names;
  for (const auto& part : split_names(data::read_whole_file(path), options_.label_sep)) {
    std::vector<std::string> found = {part};
    if (!classes.count(part) && options_.label_sep == "\n") found = data::words_of(part);
    for (const auto& name : found)
      if (!classes.count(name))
        throw DataError("label file " + path + " has '" + name + "', which is none of the " +
                        std::to_string(classes.size()) + " classes; check label_sep and the list of labels");
    names.insert(names.end(), found.begin(), found.end());
  }
  return names;
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
  tf::Tensor labels(tf::DT_FLOAT, {count, metadata_.num_classes()}), descriptions(tf::DT_STRING, {count});
  labels.flat<float>().setZero();
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t label : labels_[i]) labels.matrix<float>()(i, label) = 1;
    descriptions.vec<tf::tstring>()(i) = descriptions_[i];
  }
  const auto files = data::read_raw_files(scope, {metadata_.data_dir(), &images_, {labels, descriptions}}, options_);
  return {data::image_stages(scope, files, options_, metadata_.num_classes(), data::new_broken_counter(), keys)};
}

}  // namespace mox
