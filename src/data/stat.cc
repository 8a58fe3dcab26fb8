#include <algorithm>
#include <mutex>

#include "data/image_info.h"
#include "data/parallel.h"
#include "data/record_file.h"
#include "data/storage.h"
#include "moxing/convert.h"
#include "moxing/metadata.h"
#include "tensorflow/core/example/example.pb.h"

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

  // `label` names the class; a number that is not known yet makes its class.
  void add(const std::string& path, std::string_view content, int64_t label) {
    data::ImageInfo info;
    const auto status = data::inspect_image(content, &info);
    std::lock_guard lock(mutex_);
    if (!status.ok()) {
      stat_.broken.push_back({path, std::string(status.message())});
      return;
    }
    while (label >= static_cast<int64_t>(stat_.classes.size()))
      stat_.classes.push_back({std::to_string(stat_.classes.size()), 0, 0});
    ++stat_.classes[label].count;
    stat_.classes[label].bytes += static_cast<int64_t>(content.size());
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
    std::lock_guard lock(mutex_);
    stat_.broken.push_back({path, reason});
  }

  DatasetStat finish() {
    std::sort(stat_.broken.begin(), stat_.broken.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
    return std::move(stat_);
  }

 private:
  std::mutex mutex_;
  DatasetStat stat_;  // guarded by mutex_
};

void add_records(const std::string& path, int64_t size, StatBuilder* builder) {
  constexpr int64_t kMostClasses = 1 << 20;  // a number beyond is damage
  data::RecordFile file(path, data::open_random(path), size);
  tf::tstring record;
  absl::Status error;
  for (auto result = file.next(&record, &error); result != data::RecordFile::Result::kEnd;
       result = file.next(&record, &error)) {
    const std::string name = path + ", record at byte " + std::to_string(file.offset());
    tf::Example example;
    if (result == data::RecordFile::Result::kBroken) {
      const std::string reason(error.message()), place = "TFRecord file " + name + ": ";
      builder->add_broken(name, reason.rfind(place, 0) == 0 ? reason.substr(place.size()) : reason);
    } else if (!example.ParseFromArray(record.data(), static_cast<int>(record.size()))) {
      builder->add_broken(name, "not a tf.Example");
    } else {
      const auto& features = example.features().feature();
      const auto image = features.find("image/encoded"), label = features.find("image/class/label");
      if (image == features.end() || image->second.bytes_list().value_size() == 0)
        builder->add_broken(name, "feature image/encoded is missing");
      else if (label == features.end() || label->second.int64_list().value_size() == 0)
        builder->add_broken(name, "feature image/class/label is missing");
      else if (const int64_t number = label->second.int64_list().value(0); number < 0 || number > kMostClasses)
        builder->add_broken(name, "label " + std::to_string(number));
      else
        builder->add(name, image->second.bytes_list().value(0), number);
    }
  }
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
  const ImageClassificationRawMetadata metadata(dir);
  StatBuilder builder(metadata.labels_list());
  const auto& images = metadata.images();
  data::parallel_for(images.size(), kThreads, [&](size_t i) {
    const std::string path = data::join_path(metadata.data_dir(), images[i].name);
    tf::tstring content;
    const auto status = data::read_into(path, &content);
    if (status.ok())
      builder.add(path, {content.data(), content.size()}, images[i].label);
    else
      builder.add_broken(path, std::string(status.message()));
  });
  return builder.finish();
}

}  // namespace mox
