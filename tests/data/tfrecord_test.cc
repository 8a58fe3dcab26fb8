// TFRecord files: metadata, image data sets, any features, broken records.
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "data/pipeline_runner.h"
#include "data/record_writer.h"
#include "moxing/datasets.h"
#include "moxing/error.h"
#include "moxing/log.h"

namespace mox::test {
namespace {

namespace tf = tensorflow;
namespace fs = std::filesystem;
using namespace std::string_literals;

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

ImageTFRecordDatasetOptions once() {
  ImageTFRecordDatasetOptions options;
  options.num_epochs = 1;
  options.shuffle = false;
  return options;
}

std::vector<int64_t> sorted(std::vector<int64_t> values) {
  std::sort(values.begin(), values.end());
  return values;
}

std::vector<int64_t> count_up(int64_t n) {
  std::vector<int64_t> values;
  for (int64_t i = 0; i < n; ++i) values.push_back(i);
  return values;
}

TEST_F(TFRecordTest, CountsSamplesFromTheHeaders) {
  EXPECT_EQ(metadata().num_samples(), 12);
  EXPECT_EQ(metadata().files().size(), 3u);
  ImageTFRecordMetadataOptions options;
  options.num_samples = 77;
  EXPECT_EQ(metadata(options).num_samples(), 77);
  EXPECT_EQ(ImageClassificationTFRecordMetadata(dir_.path(), {"*_0.*", "*_2.*"}).num_samples(), 8);
  EXPECT_EQ(message_of<NotFoundError>([&] { ImageClassificationTFRecordMetadata(dir_.path(), {"*eval*"}); }),
            "data folder " + dir_.path() + " has no file that matches *eval*");
}

TEST_F(TFRecordTest, LabelMap) {
  EXPECT_EQ(metadata().num_classes(), 0);
  dir_.write("labels.txt", "0: a\n1: b\n");
  EXPECT_EQ(metadata().num_classes(), 2);
  EXPECT_EQ(metadata().labels_to_names().at(1), "b");
  ImageTFRecordMetadataOptions options;
  options.num_classes = 3;
  EXPECT_EQ(message_of<InvalidArgumentError>([&] { metadata(options); }),
            "num_classes is 3, but " + dir_.path("labels.txt") + " names 2 classes");
}

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

TEST_F(TFRecordTest, OptionsAreChecked) {
  const auto message = [&](auto change) {
    ImageTFRecordDatasetOptions images;
    images.image_size = ImageSize{8, 8};
    TFRecordDatasetOptions records;
    change(images);
    change(records);
    const std::string text =
        message_of<InvalidArgumentError>([&] { ImageClassificationTFRecordDataset(metadata(), images); });
    EXPECT_EQ(message_of<InvalidArgumentError>([&] { get_tfrecord(dir_.path(), "*", {}, {}, 12, records); }), text);
    return text;
  };
  EXPECT_EQ(message([](auto& o) { o.batch_size = -1; }), "batch_size is -1, expected at least 0");
  EXPECT_EQ(message([](auto& o) { o.num_epochs = -1; }), "num_epochs is -1, expected at least 0");
  EXPECT_EQ(message([](auto& o) { o.preprocess_threads = 0; }), "preprocess_threads is 0, expected at least 1");
  EXPECT_EQ(message([](auto& o) { o.private_num_threads = -1; }), "private_num_threads is -1, expected at least 0");
  EXPECT_EQ(message([](auto& o) { o.max_broken_samples = -1; }), "max_broken_samples is -1, expected at least 0");
  EXPECT_EQ(message([](auto& o) { o.num_parallel = 0; }), "num_parallel is 0, expected at least 1");
  EXPECT_EQ(message([](auto& o) { o.shuffle_buffer_size = -1; }), "shuffle_buffer_size is -1, expected at least 0");
  EXPECT_EQ(message([](auto& o) { o.cache_dir = "s3://bucket/cache"; }),
            "cache_dir is s3://bucket/cache, expected a folder on a local disk");
  EXPECT_NE(message([](auto& o) { o.cache_dir = "/proc/cache"; }).find("cache_dir: folder /proc/cache"),
            std::string::npos);
}

// The manual gives a BaseTFRecordMetadata to an image data set.
TEST_F(TFRecordTest, ImagesOfAnyMetadata) {
  auto scope = Scope::new_root();
  ImageClassificationTFRecordDataset dataset(BaseTFRecordMetadata(dir_.path(), {"*train*.tfrecord"}), once());
  PipelineRunner runner(scope, dataset.get(scope, {"label", "label_desc"}));
  int count = 0;
  while (runner.next()) ++count;
  EXPECT_EQ(count, 12);
}

TEST_F(TFRecordTest, DeliversEverySampleOnce) {
  auto options = once();
  options.num_parallel = 1;
  EXPECT_EQ(labels(options), count_up(12));
  options.num_parallel = 8;
  const auto interleaved = labels(options);
  EXPECT_EQ(sorted(interleaved), count_up(12));
  EXPECT_EQ(labels(options), interleaved);
  options.shuffle = true;
  options.seed = 3;
  const auto shuffled = labels(options);
  EXPECT_EQ(sorted(shuffled), count_up(12));
  EXPECT_NE(shuffled, interleaved);
  EXPECT_EQ(labels(options), shuffled);
  options.num_epochs = 2;
  EXPECT_EQ(labels(options).size(), 24u);
  options.num_epochs = 0;
  EXPECT_EQ(labels(options, 100).size(), 100u);
}

TEST_F(TFRecordTest, ImageLabelAndNames) {
  dir_.write("labels.txt", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\n");
  auto options = once();
  options.num_parallel = 1;
  options.image_size = ImageSize{8, 8};
  options.batch_size = 5;
  options.label_one_hot = true;
  auto scope = Scope::new_root();
  ImageClassificationTFRecordDataset dataset(metadata(), options);
  auto out = dataset.get(scope, {"image", "label", "label_desc", "image_name"});
  EXPECT_EQ(static_shape(scope, out[0]), (std::vector<int64_t>{-1, 8, 8, 3}));
  PipelineRunner runner(scope, out);
  ASSERT_TRUE(runner.next());
  EXPECT_EQ((runner[0].tensor<uint8_t, 4>()(0, 0, 0, 0)), 220);
  EXPECT_EQ(runner[1].matrix<float>()(3, 3), 1);
  EXPECT_EQ(std::string(runner[2].vec<tf::tstring>()(3)), "d");
  EXPECT_EQ(std::string(runner[3].vec<tf::tstring>()(0)), path(0) + ", record at byte 0");
}

TEST_F(TFRecordTest, ShardsByFileOrByRecord) {
  for (int64_t shards : {2, 3, 5}) {
    std::vector<int64_t> seen;
    auto options = once();
    options.shuffle = true;
    options.num_shards = shards;
    for (options.shard_index = 0; options.shard_index < shards; ++options.shard_index) {
      const auto part = labels(options);
      EXPECT_GE(part.size(), 2u);
      seen.insert(seen.end(), part.begin(), part.end());
    }
    EXPECT_EQ(sorted(seen), count_up(12)) << shards;
  }
}

TEST_F(TFRecordTest, CustomFeatures) {
  tf::Example example;
  ASSERT_TRUE(example.ParseFromString(image_record(image_, 1)));
  auto& features = *example.mutable_features()->mutable_feature();
  features["image/width"].mutable_int64_list()->add_value(24);
  for (float v : {0.5f, 0.25f}) features["boxes"].mutable_float_list()->add_value(v);
  write_records(path(0), {example.SerializeAsString()});
  for (int file : {1, 2}) fs::remove(path(file));
  auto options = once();
  options.custom_feature_keys = {"image/width", "boxes"};
  options.custom_feature_values.resize(2);
  options.custom_feature_values[0].dtype = tf::DT_INT64;
  options.custom_feature_values[1].dtype = tf::DT_FLOAT;
  options.custom_feature_values[1].var_len = true;
  auto scope = Scope::new_root();
  ImageClassificationTFRecordDataset dataset(metadata(), options);
  PipelineRunner runner(scope, dataset.get(scope, {"boxes", "image/width", "label"}));
  ASSERT_TRUE(runner.next());
  EXPECT_EQ(runner[0].shape(), tf::TensorShape({2}));
  EXPECT_EQ(runner[0].vec<float>()(1), 0.25f);
  EXPECT_EQ(runner[1].scalar<int64_t>()(), 24);
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

TEST_F(TFRecordTest, GetTfrecordWithHandlers) {
  auto scope = Scope::new_root();
  KeysToFeatures features;
  features["image/encoded"] = {};
  features["image/class/label"].dtype = tf::DT_INT64;
  TFRecordDatasetOptions options;
  options.num_epochs = 1;
  options.shuffle = false;
  options.batch_size = 4;
  auto dataset = get_tfrecord(
      dir_.path(), "*train_1*", features,
      {{"picture", image_handler("image/encoded", ImageSize{6, 9})}, {"class", tensor_handler("image/class/label")}}, 0,
      options);
  EXPECT_EQ(dataset->keys(), (std::vector<std::string>{"picture", "class"}));
  EXPECT_EQ(dataset->num_samples(), 4);
  PipelineRunner runner(scope, dataset->get(scope, {"class", "picture"}));
  ASSERT_TRUE(runner.next());
  EXPECT_EQ(runner[0].vec<int64_t>()(3), 7);
  EXPECT_EQ(runner[1].shape(), tf::TensorShape({4, 6, 9, 3}));
  EXPECT_FALSE(runner.next());
  EXPECT_NE(message_of<InvalidArgumentError>([&] {
              get_tfrecord(dir_.path(), "*", features, {{"x", tensor_handler("nothing")}})->get(scope, {"x"});
            }).find("asks for the feature 'nothing'"),
            std::string::npos);
}

// A user's own data set: one derived class.
class SquaredLabels : public BaseTFRecordDataset {
 public:
  explicit SquaredLabels(BaseTFRecordMetadata metadata, TFRecordDatasetOptions options)
      : BaseTFRecordDataset(std::move(metadata), options) {}

 protected:
  KeysToFeatures keys_to_features() const override {
    KeysToFeatures features;
    features["image/class/label"].dtype = tf::DT_INT64;
    return features;
  }
  ItemsToHandlers items_to_handlers() const override {
    return {{"square", [](const Scope& scope, const ParsedFeatures& features, const tf::Output&) {
               const auto& label = features.at("image/class/label");
               return tf::Output(tf::ops::Multiply(scope, label, label));
             }}};
  }
};

TEST_F(TFRecordTest, Subclass) {
  auto scope = Scope::new_root();
  TFRecordDatasetOptions options;
  options.num_epochs = 1;
  options.shuffle = false;
  SquaredLabels dataset(BaseTFRecordMetadata(dir_.path(), {"*train_2*"}), options);
  PipelineRunner runner(scope, dataset.get(scope, {"square"}));
  ASSERT_TRUE(runner.next());
  EXPECT_EQ(runner[0].scalar<int64_t>()(), 64);
}

// Items that are made together, by one derived class.
class LabelAndNext : public BaseTFRecordDataset {
 public:
  explicit LabelAndNext(BaseTFRecordMetadata metadata, TFRecordDatasetOptions options)
      : BaseTFRecordDataset(std::move(metadata), options) {}
  std::vector<std::string> keys() const override { return {"label", "next"}; }

 protected:
  KeysToFeatures keys_to_features() const override { return {{"image/class/label", {tf::DT_INT64, {}, false, {}}}}; }
  std::vector<tf::Output> build_items(const Scope& scope, const std::vector<std::string>& keys,
                                      const ParsedFeatures& features, const tf::Output&) const override {
    const tf::Output label = features.at("image/class/label");
    const tf::Output next = tf::ops::Add(scope, label, tf::ops::Const<int64_t>(scope, 1));
    std::vector<tf::Output> items;
    for (const auto& key : keys) items.push_back(key == "next" ? next : label);
    return items;
  }
};

TEST_F(TFRecordTest, SubclassThatMakesItemsTogether) {
  auto scope = Scope::new_root();
  TFRecordDatasetOptions options;
  options.num_epochs = 1;
  options.shuffle = false;
  LabelAndNext dataset(BaseTFRecordMetadata(dir_.path(), {"*train_2*"}), options);
  PipelineRunner runner(scope, dataset.get(scope, {"next", "label"}));
  ASSERT_TRUE(runner.next());
  EXPECT_EQ(runner[0].scalar<int64_t>()(), 9);
  EXPECT_EQ(runner[1].scalar<int64_t>()(), 8);
}

TEST_F(TFRecordTest, FlowersAsTfSlimWritesThem) {
  TempDir flowers;
  for (int i = 0; i < 2; ++i)
    write_records(flowers.path("flowers_train_0000" + std::to_string(i) + "-of-00002.tfrecord"),
                  {image_record(image_, i), image_record(image_, 4)});
  auto scope = Scope::new_root();
  auto dataset = get_dataset("flowers", "train", flowers.path(), {.shuffle = false, .num_epochs = 1});
  EXPECT_EQ(dataset->num_samples(), 4);
  EXPECT_EQ(dataset->class_names()[4], "tulips");
  PipelineRunner runner(scope, dataset->get(scope, {"image", "label"}));
  int count = 0;
  while (runner.next()) ++count;
  EXPECT_EQ(count, 4);
  // Its options for broken records and the cache.
  write_records(flowers.path("flowers_train_00001-of-00002.tfrecord"), {image_record("no image", 1)});
  TempDir cache;
  DatasetOptions tolerant{.shuffle = false, .num_epochs = 1, .max_broken_samples = 1, .cache_dir = cache.path()};
  tolerant.remove_cache_on_finish = false;
  scope = Scope::new_root();
  PipelineRunner whole(scope, get_dataset("flowers", "train", flowers.path(), tolerant)->get(scope, {"image"}));
  for (count = 0; whole.next();) ++count;
  EXPECT_EQ(count, 2);
  EXPECT_TRUE(fs::exists(cache.path("mox-cache")));
}

}  // namespace
}  // namespace mox::test
