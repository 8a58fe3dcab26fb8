#include <algorithm>
#include <functional>

#include "base/mutex.h"
#include "data/image_example.h"
#include "data/image_info.h"
#include "data/labels_file.h"
#include "data/parallel.h"
#include "data/record_file.h"
#include "data/storage.h"
#include "moxing/convert.h"
#include "moxing/error.h"
#include "moxing/metadata.h"

namespace mox {

namespace tf = tensorflow;

namespace {

constexpr int kThreads = 16;

// Adds up what many threads find.
class StatBuilder {
 public:
  explicit StatBuilder(const std::vector<std::string>& class_names) {
    for (const auto& name : class_names) stat_.classes.push_back({name, 0, 0});
  }

  // `labels` name the classes; a number that is not known yet makes its class.
  void add(const std::string& path, std::string_view content, const std::vector<int64_t>& labels) {
    data::ImageInfo info;
    const auto status = data::inspect_image(content, &info);
    MutexLock lock(mutex_);
    if (!status.ok()) {
      stat_.broken.push_back({path, std::string(status.message())});
      return;
    }
    for (const int64_t label : labels) {
      while (label >= static_cast<int64_t>(stat_.classes.size()))
        stat_.classes.push_back({std::to_string(stat_.classes.size()), 0, 0});
      ++stat_.classes[label].count;
      stat_.classes[label].bytes += static_cast<int64_t>(content.size());
    }
    ++stat_.formats[data::to_string(info.format)];
    stat_.bytes += static_cast<int64_t>(content.size());
    if (stat_.samples++ == 0) {
      stat_.min_height = stat_.max_height = info.height;
      stat_.min_width = stat_.max_width = info.width;
    }
    stat_.min_height = std::min(stat_.min_height, info.height);
    stat_.max_height = std::max(stat_.max_height, info.height);
    stat_.min_width = std::min(stat_.min_width, info.width);
    stat_.max_width = std::max(stat_.max_width, info.width);
  }

  void add_broken(const std::string& path, const std::string& reason) {
    MutexLock lock(mutex_);
    stat_.broken.push_back({path, reason});
  }

  DatasetStat finish() {
    MutexLock lock(mutex_);
    std::sort(stat_.broken.begin(), stat_.broken.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
    return std::move(stat_);
  }

 private:
  Mutex mutex_;
  DatasetStat stat_ MOX_GUARDED_BY(mutex_);
};

void add_records(const std::string& path, int64_t size, StatBuilder* builder) {
  constexpr int64_t kMostClasses = 1 << 20;  // a number beyond is damage
  data::RecordFile file(path, data::open_random(path), size);
  tf::tstring record;
  absl::Status error;
  for (auto result = file.next(&record, &error); result != data::RecordFile::Result::kEnd;
       result = file.next(&record, &error)) {
    const std::string name = path + ", record at byte " + std::to_string(file.offset());
    data::ImageExample example;
    if (result == data::RecordFile::Result::kBroken) {
      const std::string reason(error.message()), place = "TFRecord file " + name + ": ";
      builder->add_broken(name, reason.rfind(place, 0) == 0 ? reason.substr(place.size()) : reason);
    } else if (const std::string wrong = data::parse_image_example({record.data(), record.size()}, &example);
               !wrong.empty()) {
      builder->add_broken(name, wrong);
    } else if (example.label < 0 || example.label > kMostClasses) {
      builder->add_broken(name, "label " + std::to_string(example.label));
    } else {
      builder->add(name, example.encoded, {example.label});
    }
  }
}

// images/ beside labels/, which has text files.
bool is_multilabel(const std::string& dir) {
  bool images = false, labels = false;
  for (const auto& entry : data::list_folder(dir)) {
    images = images || (entry.is_folder && entry.name == "images");
    labels = labels || (entry.is_folder && entry.name == "labels");
  }
  if (!images || !labels) return false;
  const auto files = data::list_folder(data::join_path(dir, "labels"));
  return std::any_of(files.begin(), files.end(), [](const auto& file) {
    return !file.is_folder && file.name.size() > 4 && file.name.compare(file.name.size() - 4, 4, ".txt") == 0;
  });
}

// Of images whose labels `labels_of` tells, or what is wrong with them as a DataError.
DatasetStat stat_of_images(const std::string& data_dir, const ImageFiles& images,
                           const std::vector<std::string>& classes,
                           const std::function<std::vector<int64_t>(const ImageFile&)>& labels_of) {
  StatBuilder builder(classes);
  data::parallel_for(images.size(), kThreads, [&](size_t i) {
    const ImageFile image = images[i];
    const std::string path = data::join_path(data_dir, image.name);
    tf::tstring content;
    if (const auto status = data::read_into(path, &content); !status.ok())
      return builder.add_broken(path, std::string(status.message()));
    try {
      builder.add(path, {content.data(), content.size()}, labels_of(image));
    } catch (const DataError& e) {
      builder.add_broken(path, e.what());
    }
  });
  return builder.finish();
}

DatasetStat multilabel_stat(const std::string& dir) {
  const MultilabelClassificationRawMetadata metadata(dir);
  const auto classes = metadata.names_to_labels();
  return stat_of_images(metadata.data_dir(), metadata.images(), metadata.labels_list(), [&](const ImageFile& image) {
    const std::string path = metadata.label_path(image);
    if (!metadata.has_label_file(image)) throw DataError("no label file " + path);
    std::vector<int64_t> labels;
    for (const auto& name : data::names_in_label_file(path, "\n", classes)) labels.push_back(classes.at(name));
    return labels;
  });
}

}  // namespace

DatasetStat dataset_stat(const std::string& dir, const std::string& file_pattern) {
  const std::string pattern = file_pattern.empty() ? data::records_pattern(dir) : file_pattern;
  if (!pattern.empty()) {
    ImageTFRecordMetadataOptions options;
    options.num_samples = 1;  // not counted: every record is read anyway
    const ImageClassificationTFRecordMetadata metadata(dir, {pattern}, options);
    StatBuilder builder(metadata.labels_list());
    const auto& files = metadata.files();
    data::parallel_for(files.size(), kThreads, [&](size_t i) {
      add_records(data::join_path(metadata.data_dir(), files[i].name), files[i].size, &builder);
    });
    return builder.finish();
  }
  if (is_multilabel(dir)) return multilabel_stat(dir);
  const ImageClassificationRawMetadata metadata(dir);
  return stat_of_images(metadata.data_dir(), metadata.images(), metadata.labels_list(),
                        [](const ImageFile& image) { return std::vector<int64_t>{image.label}; });
}

}  // namespace mox
