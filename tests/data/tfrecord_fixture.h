// Three TFRecord files of four images each, and what a data set of them delivers.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "data/pipeline_runner.h"
#include "data/record_writer.h"
#include "moxing/datasets.h"
#include "moxing/log.h"

namespace mox::test {

class TFRecordTest : public ::testing::Test {
 protected:
  TFRecordTest() {
    set_log_sink([this](LogLevel, std::string_view line) { log_ += std::string(line) + "\n"; });
    image_ = read_file(std::string(MOX_TEST_IMAGES) + "/baseline.jpg");
    // 3 files of 4 records; the labels count from 0 to 11.
    for (int file = 0; file < 3; ++file) {
      std::vector<std::string> records;
      for (int i = 0; i < 4; ++i) records.push_back(image_record(image_, file * 4 + i));
      write_records(path(file), records);
    }
  }
  ~TFRecordTest() override { set_log_sink(nullptr); }

  std::string path(int file) const { return dir_.path("data_train_" + std::to_string(file) + ".tfrecord"); }
  ImageClassificationTFRecordMetadata metadata(const ImageTFRecordMetadataOptions& options = {}) const {
    return ImageClassificationTFRecordMetadata(dir_.path(), {"*train*.tfrecord"}, options);
  }
  std::vector<int64_t> labels(const ImageTFRecordDatasetOptions& options, size_t at_most = 1000) {
    auto scope = Scope::new_root();
    ImageClassificationTFRecordDataset dataset(metadata(), options);
    PipelineRunner runner(scope, dataset.get(scope, {"label", "image"}));
    std::vector<int64_t> result;
    while (result.size() < at_most && runner.next())
      for (int64_t i = 0; i < runner[0].NumElements(); ++i) result.push_back(runner[0].flat<int64_t>()(i));
    return result;
  }
  std::string error(const ImageTFRecordDatasetOptions& options) {
    return message_of<std::runtime_error>([&] { labels(options); });
  }

  TempDir dir_;
  std::string image_, log_;
};

inline ImageTFRecordDatasetOptions once() {
  ImageTFRecordDatasetOptions options;
  options.num_epochs = 1;
  options.shuffle = false;
  return options;
}

inline std::vector<int64_t> sorted(std::vector<int64_t> values) {
  std::sort(values.begin(), values.end());
  return values;
}

inline std::vector<int64_t> count_up(int64_t n) {
  std::vector<int64_t> values;
  for (int64_t i = 0; i < n; ++i) values.push_back(i);
  return values;
}

}  // namespace mox::test
