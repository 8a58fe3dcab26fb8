// TFRecord files: metadata, image data sets, any features.
#include <filesystem>

#include "data/tfrecord_fixture.h"
#include "moxing/error.h"

namespace mox::test {
namespace {

namespace tf = tensorflow;
namespace fs = std::filesystem;

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
  EXPECT_EQ(message([](auto& o) { o.batch_size = -1; }), "batch_size is -1, expected an integer from 0 to 1048576");
  EXPECT_EQ(message([](auto& o) { o.num_epochs = -1; }),
            "num_epochs is -1, expected an integer from 0 to 1099511627776");
  EXPECT_EQ(message([](auto& o) { o.preprocess_threads = 0; }),
            "preprocess_threads is 0, expected an integer from 1 to 4096");
  EXPECT_EQ(message([](auto& o) { o.private_num_threads = -1; }),
            "private_num_threads is -1, expected an integer from 0 to 4096");
  EXPECT_EQ(message([](auto& o) { o.max_broken_samples = -1; }),
            "max_broken_samples is -1, expected an integer from 0 to 1099511627776");
  EXPECT_EQ(message([](auto& o) { o.num_parallel = 0; }), "num_parallel is 0, expected an integer from 1 to 4096");
  EXPECT_EQ(message([](auto& o) { o.shuffle_buffer_size = -1; }),
            "shuffle_buffer_size is -1, expected an integer from 0 to 100000000");
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

// Every epoch has each sample once, whatever the buffer holds; another order each time, the same for the same seed.
TEST_F(TFRecordTest, EpochsAreWhole) {
  auto options = once();
  options.num_epochs = 3;
  options.seed = 5;
  for (const bool shuffle : {false, true})
    for (const int64_t buffer : {2, 7, 6400}) {
      options.shuffle = shuffle;
      options.shuffle_buffer_size = buffer;
      const auto all = labels(options);
      ASSERT_EQ(all.size(), 36u);
      std::vector<std::vector<int64_t>> epochs;
      for (int i = 0; i < 3; ++i) epochs.emplace_back(all.begin() + 12 * i, all.begin() + 12 * (i + 1));
      for (const auto& epoch : epochs) EXPECT_EQ(sorted(epoch), count_up(12)) << shuffle << " " << buffer;
      EXPECT_EQ(epochs[0] != epochs[1], shuffle);
      EXPECT_EQ(labels(options), all);
    }
}

// A worker whose files are all empty would repeat its epochs for ever.
TEST_F(TFRecordTest, AnEpochOfNothingIsAnError) {
  TempDir dir;
  dir.write("a", "");
  write_records(dir.path("b"), {image_record(image_, 0)});
  auto options = once();
  options.num_epochs = 0;
  options.num_shards = 2;
  options.max_broken_samples = 10;
  auto scope = Scope::new_root();
  ImageClassificationTFRecordDataset dataset(BaseTFRecordMetadata(dir.path(), {"*"}), options);
  PipelineRunner runner(scope, dataset.get(scope, {"label"}));
  EXPECT_NE(message_of<std::runtime_error>([&] { runner.next(); }).find("an epoch has no sample for this worker"),
            std::string::npos);
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
