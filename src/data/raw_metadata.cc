#include <algorithm>
#include <set>

#include "base/limits.h"
#include "base/text.h"
#include "base/url.h"
#include "data/image_table.h"
#include "data/labels_file.h"
#include "data/parallel.h"
#include "data/pipeline.h"
#include "data/storage.h"
#include "data/wait_log.h"
#include "moxing/error.h"
#include "moxing/log.h"
#include "moxing/metadata.h"

namespace mox {

namespace {

// By the name only: what is inside is checked when it is read.
bool has_image_name(const std::string& name) {
  return name.find('.') == std::string::npos || data::has_image_extension(name);
}

// The images of a folder; others are counted. `prefix`: how they are called.
data::FolderOfImages images_in(const std::string& folder, const std::string& prefix, data::LeftOut* left_out,
                               const data::ListOptions& options) {
  data::FolderOfImages images;
  data::LeftOut here;
  for (const auto& entry : data::list_folder(folder, &here, options)) {
    if (entry.is_folder || !has_image_name(entry.name))
      here.add(entry.name);
    else
      images.add(entry.name, entry.size, entry.mtime_nsec);
  }
  left_out->add(here, prefix);
  return images;
}

void tell_left_out(const std::string& folder, const data::LeftOut& left_out) {
  if (left_out.count() > 0)
    log_warning(
        "data folder " + folder + ": " + std::to_string(left_out.count()) +
        " entries are left out, which are hidden, in no class folder, below one, or no images by their names: " +
        left_out.text());
}

// Stores answer one request slowly and many at once fast.
int list_threads(const std::string& dir) { return has_scheme(dir) ? 64 : 16; }

constexpr int kReadThreads = 16;

// Of the class folders of base_dir.
ImageFiles images_of_classes(const std::string& base_dir, const std::vector<std::string>& classes,
                             data::LeftOut* left_out) {
  std::vector<data::FolderOfImages> images(classes.size());
  std::vector<data::LeftOut> left_out_of(classes.size());
  std::vector<std::string> folders;
  for (const std::string& name : classes) folders.push_back(name + "/");
  data::WaitLog wait_log("listing " + base_dir, "files");
  const int threads = list_threads(base_dir);
  // Of a few large classes each has several threads.
  const data::ListOptions options{.threads = std::max(1, threads / static_cast<int>(classes.size())),
                                  .wait_log = &wait_log};
  data::parallel_for(classes.size(), threads, [&](size_t i) {
    images[i] = images_in(data::join_path(base_dir, classes[i]), folders[i], &left_out_of[i], options);
  });
  for (size_t i = 0; i < classes.size(); ++i) {
    if (images[i].size() == 0) log_warning("data folder " + base_dir + ": class '" + classes[i] + "' has no images");
    left_out->add(left_out_of[i], "");
  }
  return data::join_folders(std::move(folders), std::move(images));
}

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
  data::LeftOut left_out;
  for (const auto& entry : data::list_folder(base_dir, &left_out)) {
    if (entry.is_folder)
      folders.push_back(entry.name);
    else if (entry.name != options.labels_filename)
      left_out.add(entry.name);
  }
  if (folders.empty())
    throw DataError("data folder " + base_dir + " has no class folders in it; expected " + base_dir + "/CLASS/IMAGE");
  const std::string labels_path = data::join_path(base_dir, options.labels_filename);
  labels_list_ = data::read_labels(labels_path);
  data::check_distinct(labels_path, labels_list_);
  if (labels_list_.empty())
    labels_list_ = folders;
  else
    data::check_same_classes(labels_path, labels_list_, "the folders of " + base_dir, folders);

  images_ = images_of_classes(base_dir, labels_list_, &left_out);
  tell_left_out(base_dir, left_out);
  if (images_.empty())
    throw DataError("data folder " + base_dir + " has no images in its class folders " +
                    data::join_names(labels_list_) +
                    "; where these are parts such as train and eval, give the folder of one");
}

MultilabelClassificationRawMetadata::MultilabelClassificationRawMetadata(const std::string& base_dir,
                                                                         const MultilabelMetadataOptions& options)
    : base_dir_(base_dir),
      data_dir_(options.redirect_dir.empty() ? base_dir : options.redirect_dir),
      options_(options) {
  data::LeftOut left_out;
  const std::string images_dir = data::join_path(base_dir, options.images_sub_dir);
  const std::string prefix = options.images_sub_dir.empty() ? "" : options.images_sub_dir + "/";
  data::WaitLog wait_log("listing " + base_dir, "files");
  const data::ListOptions list_options{.threads = list_threads(base_dir), .wait_log = &wait_log};
  std::vector<data::FolderOfImages> images(1);
  images[0] = images_in(images_dir, prefix, &left_out, list_options);
  images_ = data::join_folders({prefix}, std::move(images));
  tell_left_out(images_dir, left_out);
  if (images_.empty()) throw DataError("data folder " + images_dir + " has no images");
  const std::string suffix = "." + options.labels_extension;
  for (const auto& entry : data::list_folder(data::join_path(base_dir, options.labels_sub_dir), nullptr, list_options))
    if (!entry.is_folder && entry.name.size() > suffix.size() &&
        entry.name.compare(entry.name.size() - suffix.size(), suffix.size(), suffix) == 0)
      label_files_.push_back(entry.name);

  const std::string labels_path = data::join_path(base_dir, options.labels_filename);
  labels_list_ = data::read_labels(labels_path);
  data::check_distinct(labels_path, labels_list_);
  if (!labels_list_.empty()) return;
  std::vector<std::vector<std::string>> names(label_files_.size());
  data::WaitLog read_log("reading the labels of " + base_dir, "files", static_cast<int64_t>(label_files_.size()));
  data::parallel_for(label_files_.size(), kReadThreads, [&](size_t i) {
    names[i] = data::words_of(data::read_whole_file(
        data::join_path(data::join_path(base_dir, options.labels_sub_dir), label_files_[i]), data::kMostTextBytes));
    read_log.add(1);
  });
  std::set<std::string> all;
  for (const auto& of_file : names) all.insert(of_file.begin(), of_file.end());
  if (all.empty()) {
    const std::string folder = data::join_path(base_dir, options.labels_sub_dir);
    throw DataError("data folder " + base_dir + " has no labels: " +
                    (label_files_.empty() ? "no file of " + folder + " ends in '" + suffix + "'"
                                          : "the " + std::to_string(label_files_.size()) + " files of " + folder +
                                                " that end in '" + suffix + "' name none") +
                    "; expected those of " + images_[0].name + " in " + label_path(images_[0]) + ", or all names in " +
                    labels_path);
  }
  check_integer("the number of names in the label files of " + base_dir, static_cast<int64_t>(all.size()), 1,
                kMaxClasses);
  labels_list_.assign(all.begin(), all.end());
}

std::string MultilabelClassificationRawMetadata::label_path(const ImageFile& image) const {
  return data::join_path(data::join_path(base_dir_, options_.labels_sub_dir),
                         base_name(image.name) + "." + options_.labels_extension);
}

bool MultilabelClassificationRawMetadata::has_label_file(const ImageFile& image) const {
  return std::binary_search(label_files_.begin(), label_files_.end(),
                            base_name(image.name) + "." + options_.labels_extension);
}

}  // namespace mox
