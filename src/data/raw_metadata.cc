#include <algorithm>
#include <set>

#include "data/labels_file.h"
#include "data/parallel.h"
#include "data/pipeline.h"
#include "data/storage.h"
#include "moxing/error.h"
#include "moxing/log.h"
#include "moxing/metadata.h"

namespace mox {

namespace {

// By the name only: what is inside is checked when it is read.
bool has_image_name(const std::string& name) {
  const size_t dot = name.rfind('.');
  if (dot == std::string::npos) return true;
  std::string extension = name.substr(dot + 1);
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  for (const char* known : {"jpg", "jpeg", "jpe", "jfif", "png", "bmp", "gif", "webp"})
    if (extension == known) return true;
  return false;
}

// The images of a folder; others are counted.
std::vector<ImageFile> images_in(const std::string& folder, const std::string& prefix, int64_t* left_out) {
  std::vector<ImageFile> images;
  for (const auto& entry : data::list_folder(folder)) {
    if (entry.is_folder || !has_image_name(entry.name))
      ++*left_out;
    else
      images.push_back({prefix + entry.name, entry.size, entry.mtime_nsec, 0});
  }
  return images;
}

void tell_left_out(const std::string& folder, int64_t count) {
  if (count > 0)
    log_warning("data folder " + folder + ": " + std::to_string(count) +
                " entries are left out: folders below a class, or files that are no images by their names");
}

constexpr int kListThreads = 16;

}  // namespace

std::map<std::string, int64_t> ClassMetadata::names_to_labels() const {
  std::map<std::string, int64_t> map;
  for (size_t i = 0; i < labels_list_.size(); ++i) map.emplace(labels_list_[i], static_cast<int64_t>(i));
  return map;
}

std::map<int64_t, std::string> ClassMetadata::labels_to_names() const {
  std::map<int64_t, std::string> map;
  for (size_t i = 0; i < labels_list_.size(); ++i) map[static_cast<int64_t>(i)] = labels_list_[i];
  return map;
}

ImageClassificationRawMetadata::ImageClassificationRawMetadata(const std::string& base_dir,
                                                               const RawMetadataOptions& options)
    : data_dir_(options.redirect_dir.empty() ? base_dir : options.redirect_dir) {
  std::vector<std::string> folders;
  for (const auto& entry : data::list_folder(base_dir))
    if (entry.is_folder) folders.push_back(entry.name);
  if (folders.empty())
    throw DataError("data folder " + base_dir + " has no class folders in it; expected " + base_dir + "/CLASS/IMAGE");
  const std::string labels_path = data::join_path(base_dir, options.labels_filename);
  labels_list_ = data::read_labels(labels_path);
  data::check_distinct(labels_path, labels_list_);
  if (labels_list_.empty())
    labels_list_ = folders;
  else
    data::check_same_classes(labels_path, labels_list_, "the folders of " + base_dir, folders);

  std::vector<std::vector<ImageFile>> by_class(labels_list_.size());
  std::vector<int64_t> left_out(labels_list_.size());
  data::parallel_for(labels_list_.size(), kListThreads, [&](size_t i) {
    by_class[i] = images_in(data::join_path(base_dir, labels_list_[i]), labels_list_[i] + "/", &left_out[i]);
  });
  int64_t total_left_out = 0;
  for (size_t i = 0; i < by_class.size(); ++i) {
    if (by_class[i].empty()) log_warning("data folder " + base_dir + ": class '" + labels_list_[i] + "' has no images");
    for (auto& image : by_class[i]) {
      image.label = static_cast<int64_t>(i);
      images_.push_back(std::move(image));
    }
    total_left_out += left_out[i];
  }
  tell_left_out(base_dir, total_left_out);
  if (images_.empty()) throw DataError("data folder " + base_dir + " has no images in its class folders");
}

MultilabelClassificationRawMetadata::MultilabelClassificationRawMetadata(const std::string& base_dir,
                                                                         const MultilabelMetadataOptions& options)
    : base_dir_(base_dir),
      data_dir_(options.redirect_dir.empty() ? base_dir : options.redirect_dir),
      options_(options) {
  int64_t left_out = 0;
  const std::string images_dir = data::join_path(base_dir, options.images_sub_dir);
  images_ = images_in(images_dir, options.images_sub_dir + "/", &left_out);
  tell_left_out(images_dir, left_out);
  if (images_.empty()) throw DataError("data folder " + images_dir + " has no images");
  const std::string suffix = "." + options.labels_extension;
  for (const auto& entry : data::list_folder(data::join_path(base_dir, options.labels_sub_dir)))
    if (!entry.is_folder && entry.name.size() > suffix.size() &&
        entry.name.compare(entry.name.size() - suffix.size(), suffix.size(), suffix) == 0)
      label_files_.push_back(entry.name);

  const std::string labels_path = data::join_path(base_dir, options.labels_filename);
  labels_list_ = data::read_labels(labels_path);
  data::check_distinct(labels_path, labels_list_);
  if (!labels_list_.empty()) return;
  std::vector<std::vector<std::string>> names(label_files_.size());
  data::parallel_for(label_files_.size(), kListThreads, [&](size_t i) {
    const std::string content =
        data::read_whole_file(data::join_path(data::join_path(base_dir, options.labels_sub_dir), label_files_[i]));
    size_t at = 0;
    while ((at = content.find_first_not_of(" \t\r\n", at)) != std::string::npos) {
      const size_t end = std::min(content.find_first_of(" \t\r\n", at), content.size());
      names[i].push_back(content.substr(at, end - at));
      at = end;
    }
  });
  std::set<std::string> all;
  for (const auto& of_file : names) all.insert(of_file.begin(), of_file.end());
  labels_list_.assign(all.begin(), all.end());
}

std::string MultilabelClassificationRawMetadata::label_path(const ImageFile& image) const {
  return data::join_path(data::join_path(base_dir_, options_.labels_sub_dir),
                         data::base_name(image.name) + "." + options_.labels_extension);
}

bool MultilabelClassificationRawMetadata::has_label_file(const ImageFile& image) const {
  return std::binary_search(label_files_.begin(), label_files_.end(),
                            data::base_name(image.name) + "." + options_.labels_extension);
}

}  // namespace mox
