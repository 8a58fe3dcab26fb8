// TFRecord files that are broken, cannot be opened, or have a damaged copy in the cache.
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "data/tfrecord_fixture.h"
#include "moxing/error.h"

namespace mox::test {
namespace {

namespace tf = tensorflow;
namespace fs = std::filesystem;
using namespace std::string_literals;

// A file that cannot be opened is a broken sample, as it is when it is read; not the end of the others.
TEST_F(TFRecordTest, FilesThatCannotBeOpened) {
  fs::create_symlink("nowhere", path(7));
  dir_.write("data_train_8.tfrecord", "some text that is no record");
  dir_.write("data_train_9.tfrecord", "");
  ASSERT_EQ(::mkfifo(path(6).c_str(), 0600), 0);  // must not be waited for
  EXPECT_EQ(metadata().num_samples(), 12);
  for (const std::string& text : {path(7) + " cannot be opened", path(8) + ", record at byte 0", path(9) + " is empty",
                                  "data_train_6.tfrecord is neither a file"s})
    EXPECT_NE(log_.find(text), std::string::npos) << text << "\n" << log_;
  auto options = once();
  EXPECT_NE(error(options).find(path(7)), std::string::npos) << error(options);
  options.max_broken_samples = 2;
  EXPECT_EQ(sorted(labels(options)), count_up(12));
  EXPECT_NE(message_of<NotFoundError>([&] { BaseTFRecordMetadata(dir_.path(), {"*_7.*"}); }).find(path(7)),
            std::string::npos);
}

// Endless epochs of nothing would never come to an end.
TEST_F(TFRecordTest, OnlyEmptyFiles) {
  dir_.write("empty-0", "");
  dir_.write("empty-1", "");
  EXPECT_EQ(message_of<DataError>([&] { BaseTFRecordMetadata(dir_.path(), {"empty-*"}, {.num_samples = 5}); }),
            "the 2 TFRecord files of " + dir_.path() + " that match empty-* are empty");
}

// TensorFlow's parser shows the bytes of such a record and not where it is.
TEST_F(TFRecordTest, RecordsThatAreNoExamples) {
  const std::string whole = image_record(image_, 5), cut = whole.substr(0, whole.size() / 2);
  // Broken at each level of the message.
  for (const std::string& broken : {"\xff\xfe hello"s, cut, "\x0a\x02\x0a\x05"s, "\x0a\x04\x0a\x02\x12\x09"s,
                                    "\x0a\x06\x0a\x04\x12\x02\x0a\x09"s}) {
    write_records(path(1), {broken, whole});
    EXPECT_NE(error(once()).find("TFRecord file " + path(1) + ", record at byte 0: not a tf.Example"),
              std::string::npos)
        << error(once());
    auto options = once();
    options.max_broken_samples = 1;
    EXPECT_EQ(sorted(labels(options)), (std::vector<int64_t>{0, 1, 2, 3, 5, 8, 9, 10, 11}));
  }
}

TEST_F(TFRecordTest, BrokenDataChecksum) {
  std::string bytes = read_file(path(1));
  const size_t record = bytes.size() / 4;
  bytes[record + 50] ^= 1;
  dir_.write("data_train_1.tfrecord", bytes);
  EXPECT_EQ(metadata().num_samples(), 12);  // the headers are whole
  EXPECT_NE(error(once()).find("TFRecord file " + path(1) + ", record at byte " + std::to_string(record) +
                               ": the checksum of the data does not fit"),
            std::string::npos)
      << error(once());
  auto options = once();
  options.max_broken_samples = 1;
  EXPECT_EQ(sorted(labels(options)), (std::vector<int64_t>{0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11}));
  EXPECT_NE(log_.find("broken sample 1 of at most 1 is left out: TFRecord file " + path(1)), std::string::npos) << log_;
  options.shuffle = true;
  options.num_epochs = 3;  // the same sample again is not another broken one
  EXPECT_EQ(labels(options).size(), 33u);
}

TEST_F(TFRecordTest, BrokenLengthChecksumEndsTheFile) {
  std::string bytes = read_file(path(1));
  const size_t record = bytes.size() / 4;
  bytes[2 * record + 3] ^= 1;
  dir_.write("data_train_1.tfrecord", bytes);
  EXPECT_EQ(metadata().num_samples(), 10);
  EXPECT_NE(log_.find("record at byte " + std::to_string(2 * record) +
                      ": the checksum of the length does not fit; the rest of the file cannot be read"),
            std::string::npos)
      << log_;
  auto options = once();
  EXPECT_NE(error(options).find("the checksum of the length does not fit"), std::string::npos) << error(options);
  options.max_broken_samples = 1;
  EXPECT_EQ(sorted(labels(options)), (std::vector<int64_t>{0, 1, 2, 3, 4, 5, 8, 9, 10, 11}));
}

TEST_F(TFRecordTest, TruncatedFile) {
  const auto size = fs::file_size(path(2));
  for (const auto cut : {size - 10, size / 4 * 3 + 5}) {
    fs::resize_file(path(2), cut);
    EXPECT_EQ(metadata().num_samples(), 11);
    auto options = once();
    EXPECT_NE(error(options).find("the file ends inside the record"), std::string::npos) << error(options);
    options.max_broken_samples = 1;
    EXPECT_EQ(labels(options).size(), 11u);
  }
}

TEST_F(TFRecordTest, WrongRecordsAreNamed) {
  const std::string good = image_record(image_, 0);
  tf::Example no_image;
  (*no_image.mutable_features()->mutable_feature())["image/class/label"].mutable_int64_list()->add_value(1);
  write_records(path(1),
                {good, no_image.SerializeAsString(), good, "not an example", image_record("no image", 2), good});
  auto options = once();
  options.num_parallel = 1;
  EXPECT_NE(error(options).find(path(1) + ", record at byte"), std::string::npos) << error(options);
  EXPECT_NE(error(options).find("image/encoded"), std::string::npos) << error(options);
  options.max_broken_samples = 3;
  EXPECT_EQ(labels(options), (std::vector<int64_t>{0, 1, 2, 3, 0, 0, 0, 8, 9, 10, 11}));
  EXPECT_NE(log_.find("broken sample 3 of at most 3 is left out: image " + path(1) + ", record at byte"),
            std::string::npos)
      << log_;
}

TEST_F(TFRecordTest, LabelOutOfRange) {
  dir_.write("labels.txt", "a\nb\nc\nd\ne\n");
  auto options = once();
  options.num_parallel = 1;
  const std::string message = error(options);
  EXPECT_NE(message.find("image " + path(1) + ", record at byte "), std::string::npos) << message;
  EXPECT_NE(message.find(": label 5, expected 0 to 4"), std::string::npos) << message;
}

// A cache that goes when the run ends serves all of the run's epochs.
TEST_F(TFRecordTest, CacheServesTheSecondEpoch) {
  TempDir cache;
  auto options = once();
  options.num_epochs = 2;
  options.cache_dir = cache.path();
  options.remove_cache_on_finish = true;
  {
    auto scope = Scope::new_root();
    ImageClassificationTFRecordDataset dataset(metadata(), options);
    PipelineRunner runner(scope, dataset.get(scope, {"label"}));
    std::vector<int64_t> first;
    for (int i = 0; i < 24 && runner.next(); ++i) {
      first.push_back(runner[0].flat<int64_t>()(0));
      if (i == 2)  // one record of each file: all are open, and copied
        for (int file = 0; file < 3; ++file) fs::remove(path(file));
    }
    EXPECT_EQ(first.size(), 24u);
    EXPECT_TRUE(fs::exists(cache.path("mox-cache")));
  }
  EXPECT_FALSE(fs::exists(cache.path("mox-cache")));
}

TEST_F(TFRecordTest, CacheIsReadByTheNextRun) {
  TempDir cache;
  auto options = once();
  options.cache_dir = cache.path();
  options.remove_cache_on_finish = false;
  EXPECT_EQ(sorted(labels(options)), count_up(12));
  const auto before = metadata();
  for (int file = 0; file < 3; ++file) fs::remove(path(file));
  auto scope = Scope::new_root();
  ImageClassificationTFRecordDataset dataset(before, options);
  PipelineRunner runner(scope, dataset.get(scope, {"label"}));
  int count = 0;
  while (runner.next()) ++count;
  EXPECT_EQ(count, 12);
}

// A copy that lost a byte: the file itself is read on, and copied again in the next epoch.
TEST_F(TFRecordTest, ADamagedCopyIsNoBrokenSample) {
  TempDir cache;
  auto options = once();
  options.cache_dir = cache.path();
  options.remove_cache_on_finish = false;
  const auto damage = [&](size_t at) {
    int copies = 0;
    for (const auto& entry : fs::recursive_directory_iterator(cache.path()))
      if (entry.path().extension() == ".copy") {
        std::string bytes = read_file(entry.path());
        bytes[at] ^= 1;
        std::ofstream(entry.path(), std::ios::binary) << bytes;
        ++copies;
      }
    EXPECT_EQ(copies, 3);
  };
  for (const size_t at : {size_t{3}, size_t{100}, fs::file_size(path(0)) - 30}) {  // a length, the first and last data
    labels(options);
    damage(at);
    log_.clear();
    EXPECT_EQ(sorted(labels(options)), count_up(12)) << at;
    EXPECT_NE(log_.find(".copy is damaged"), std::string::npos) << log_;
  }
  labels(options);
  log_.clear();
  labels(options);
  EXPECT_EQ(log_, "");
  // A record that is broken in the file too is one, and no reason to copy it again.
  std::string bytes = read_file(path(1));
  bytes[100] ^= 1;
  dir_.write("data_train_1.tfrecord", bytes);
  options.max_broken_samples = 1;
  EXPECT_EQ(labels(options).size(), 11u);
  EXPECT_EQ(log_.find("damaged"), std::string::npos) << log_;
}

}  // namespace
}  // namespace mox::test
