#include <algorithm>
#include <atomic>
#include <exception>

#include "base/limits.h"
#include "data/labels_file.h"
#include "data/parallel.h"
#include "data/pipeline.h"
#include "data/record_file.h"
#include "data/storage.h"
#include "data/wait_log.h"
#include "moxing/error.h"
#include "moxing/log.h"
#include "moxing/metadata.h"

namespace mox {

namespace {

constexpr int kCountThreads = 32;

// What is broken is named here and reported again, as a broken sample, when the file is read.
int64_t count_records(const std::string& path, int64_t size, data::WaitLog* wait_log, std::exception_ptr* cannot_open) {
  constexpr int64_t kTold = 1000;
  int64_t count = 0;
  try {
    data::RecordFile file(path, data::open_random(path), size);
    absl::Status error;
    for (auto result = file.skip(&error); result != data::RecordFile::Result::kEnd; result = file.skip(&error)) {
      if (result != data::RecordFile::Result::kRecord)
        log_warning("counting samples: " + std::string(error.message()));
      else if (++count % kTold == 0)
        wait_log->add(kTold);
    }
    wait_log->add(count % kTold);
  } catch (const Error& e) {
    log_warning(std::string("counting samples: ") + e.what());
    *cannot_open = std::current_exception();
  }
  return count;
}

}  // namespace

BaseTFRecordMetadata::BaseTFRecordMetadata(const std::string& base_dir, const std::vector<std::string>& file_patterns,
                                           const TFRecordMetadataOptions& options)
    : data_dir_(options.redirect_dir.empty() ? base_dir : options.redirect_dir), num_samples_(options.num_samples) {
  if (file_patterns.empty())
    throw InvalidArgumentError("no file_pattern is given; expected one such as *train*.tfrecord");
  check_integer("num_samples", options.num_samples, 0, kMaxCount, "0: counted");
  for (const auto& entry : data::matching_files(base_dir, file_patterns)) {
    files_.push_back({entry.name, entry.size, entry.mtime_nsec, 0});
    if (entry.size == 0) log_warning("TFRecord file " + data::join_path(base_dir, entry.name) + " is empty");
  }
  if (files_.empty())
    throw NotFoundError("data folder " + base_dir + " has no file that matches " + data::join_names(file_patterns));
  if (std::all_of(files_.begin(), files_.end(), [](const ImageFile& file) { return file.size == 0; }))
    throw DataError("the " + std::to_string(files_.size()) + " TFRecord files of " + base_dir + " that match " +
                    data::join_names(file_patterns) + " are empty");
  if (num_samples_ > 0) return;
  std::atomic<int64_t> total{0};
  std::vector<std::exception_ptr> cannot_open(files_.size());
  data::WaitLog wait_log("counting the records of " + base_dir + " (num_samples tells them)", "records");
  data::parallel_for(files_.size(), kCountThreads, [&](size_t i) {
    total += count_records(data::join_path(data_dir_, files_[i].name), files_[i].size, &wait_log, &cannot_open[i]);
  });
  num_samples_ = total;
  for (const auto& error : cannot_open)
    if (num_samples_ == 0 && error) std::rethrow_exception(error);
  if (num_samples_ == 0)
    throw DataError("the " + std::to_string(files_.size()) + " TFRecord files of " + base_dir + " that match " +
                    data::join_names(file_patterns) + " have no records that can be read; the log tells why");
}

BaseTFRecordMetadata::~BaseTFRecordMetadata() = default;

ImageClassificationTFRecordMetadata::ImageClassificationTFRecordMetadata(const std::string& base_dir,
                                                                         const std::vector<std::string>& file_patterns,
                                                                         const ImageTFRecordMetadataOptions& options)
    : BaseTFRecordMetadata(base_dir, file_patterns, options), num_classes_(options.num_classes) {
  check_integer("num_classes", num_classes_, 0, kMaxClasses, "0: as many as label_map_file names");
  const std::string path = data::join_path(base_dir, options.label_map_file);
  labels_list_ = data::read_labels(path);
  if (num_classes_ == 0) num_classes_ = static_cast<int64_t>(labels_list_.size());
  if (!labels_list_.empty() && num_classes_ != static_cast<int64_t>(labels_list_.size()))
    throw InvalidArgumentError("num_classes is " + std::to_string(num_classes_) + ", but " + path + " names " +
                               std::to_string(labels_list_.size()) + " classes");
}

}  // namespace mox
