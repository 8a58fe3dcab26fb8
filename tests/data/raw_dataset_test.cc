// A folder of images as a data set: order, batches, functions of the user, shards, cache.
#include <filesystem>
#include <set>

#include "data/pipeline_runner.h"
#include "moxing/datasets.h"
#include "moxing/error.h"
#include "moxing/flags.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace mox::test {
namespace {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

class RawDatasetTest : public ::testing::Test {
 protected:
  RawDatasetTest() {
    const std::string image = read_file(std::string(MOX_TEST_IMAGES) + "/baseline.jpg");
    for (int i = 0; i < 20; ++i)
      dir_.write((i % 2 ? "odd/" : "even/") + std::string(1, static_cast<char>('a' + i)) + ".jpg", image);
  }
  ImageClassificationRawDataset dataset(const RawDatasetOptions& options) {
    return ImageClassificationRawDataset(ImageClassificationRawMetadata(dir_.path()), options);
  }
  // The letters of the images' names in the order of delivery.
  std::string letters(const RawDatasetOptions& options, int64_t at_most = 1000) {
    auto scope = Scope::new_root();
    PipelineRunner runner(scope, dataset(options).get(scope, {"image_name"}));
    std::string text;
    while (static_cast<int64_t>(text.size()) < at_most && runner.next())
      for (int64_t i = 0; i < runner[0].NumElements(); ++i) {
        const std::string name = runner[0].flat<tf::tstring>()(i);
        text += name[name.size() - 5];
      }
    return text;
  }
  TempDir dir_;
  const std::string all_ = "acegikmoqsbdfhjlnprt";  // class by class
};

RawDatasetOptions once() {
  RawDatasetOptions options;
  options.num_epochs = 1;
  options.shuffle = false;
  return options;
}

TEST_F(RawDatasetTest, DeliversWhatTheKeysAskFor) {
  auto scope = Scope::new_root();
  auto data = dataset(once());
  auto out = data.get(scope, {"label", "image", "label_desc", "image_name"});
  EXPECT_EQ(static_shape(scope, out[1]), (std::vector<int64_t>{-1, -1, 3}));
  EXPECT_EQ(static_shape(scope, out[0]), (std::vector<int64_t>{}));
  PipelineRunner runner(scope, out);
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(runner.next());
    EXPECT_EQ(runner[0].scalar<int64_t>()(), i / 10);
    EXPECT_EQ(runner[1].shape(), tf::TensorShape({16, 24, 3}));
    EXPECT_EQ(std::string(runner[2].scalar<tf::tstring>()()), i < 10 ? "even" : "odd");
    EXPECT_EQ(std::string(runner[3].scalar<tf::tstring>()()),
              dir_.path((i < 10 ? "even/" : "odd/") + std::string(1, all_[i]) + ".jpg"));
  }
  EXPECT_FALSE(runner.next());
  EXPECT_EQ(scope.state().text_collections["class_names"], (std::vector<std::string>{"even", "odd"}));
  EXPECT_EQ(message_of<InvalidArgumentError>([&] { data.get(scope, {"name"}); }),
            "the data set has no 'name'; it has: image, label, label_desc, image_name");
}

TEST_F(RawDatasetTest, ShufflesWholeEpochsBySeed) {
  auto options = once();
  EXPECT_EQ(letters(options), all_);
  options.shuffle = true;
  options.num_epochs = 2;
  options.seed = 5;
  const std::string two = letters(options);
  ASSERT_EQ(two.size(), 40u);
  EXPECT_EQ(letters(options), two);
  std::string first = two.substr(0, 20), second = two.substr(20);
  EXPECT_NE(first, second);
  EXPECT_NE(first, all_);
  for (std::string* epoch : {&first, &second}) {
    std::sort(epoch->begin(), epoch->end());
    EXPECT_EQ(*epoch, "abcdefghijklmnopqrst");
  }
  options.num_epochs = 0;
  EXPECT_EQ(letters(options, 100).substr(0, 40), two);  // forever
}

TEST_F(RawDatasetTest, Batches) {
  auto options = once();
  options.batch_size = 8;
  EXPECT_NE(message_of<InvalidArgumentError>([&] { dataset(options); }).find("give image_size"), std::string::npos);
  options.image_size = ImageSize{10, 12};
  for (bool drop : {false, true}) {
    options.drop_remainder = drop;
    auto scope = Scope::new_root();
    auto out = dataset(options).get(scope, {"image", "label"});
    EXPECT_EQ(static_shape(scope, out[0]), (std::vector<int64_t>{drop ? 8 : -1, 10, 12, 3}));
    PipelineRunner runner(scope, out);
    std::vector<int64_t> sizes;
    while (runner.next()) sizes.push_back(runner[0].dim_size(0));
    EXPECT_EQ(sizes, drop ? (std::vector<int64_t>{8, 8}) : (std::vector<int64_t>{8, 8, 4}));
  }
}

TEST_F(RawDatasetTest, PreprocessGetsTheFileOrABatchOfFiles) {
  auto options = once();
  options.preprocess_fn = [](const Scope& scope, const RawSample& sample) {
    RawSample out = sample;
    out.image = ops::StringLength(scope, sample.image);
    out.label = ops::Add(scope, sample.label, int64_t{100});
    return out;
  };
  const auto bytes = static_cast<int32_t>(std::filesystem::file_size(dir_.path("odd/b.jpg")));
  {
    auto scope = Scope::new_root();
    PipelineRunner runner(scope, dataset(options).get(scope, {"image", "label"}));
    ASSERT_TRUE(runner.next());
    EXPECT_EQ(runner[0].scalar<int32_t>()(), bytes);
    EXPECT_EQ(runner[1].scalar<int64_t>()(), 100);
  }
  options.batch_size = 5;
  options.augmentation_fn = [](const Scope& scope, const tf::Output& image) {
    return tf::Output(ops::Multiply(scope, image, 2));
  };
  auto scope = Scope::new_root();
  PipelineRunner runner(scope, dataset(options).get(scope, {"image", "label"}));
  ASSERT_TRUE(runner.next());
  ASSERT_EQ(runner[0].shape(), tf::TensorShape({5}));
  EXPECT_EQ(runner[0].vec<int32_t>()(4), 2 * bytes);
  EXPECT_EQ(runner[1].vec<int64_t>()(4), 100);
}

TEST_F(RawDatasetTest, AugmentationAndOneHot) {
  auto options = once();
  options.batch_size = 20;
  options.label_one_hot = true;
  options.augmentation_fn = [](const Scope& scope, const tf::Output& image) {
    return tf::Output(ops::Slice(scope, image, {2, 3, 0}, {4, 5, 3}));
  };
  auto scope = Scope::new_root();
  auto out = dataset(options).get(scope, {"image", "label"});
  EXPECT_EQ(static_shape(scope, out[0]), (std::vector<int64_t>{-1, 4, 5, 3}));
  EXPECT_EQ(static_shape(scope, out[1]), (std::vector<int64_t>{-1, 2}));
  PipelineRunner runner(scope, out);
  ASSERT_TRUE(runner.next());
  EXPECT_EQ(runner[1].matrix<float>()(0, 0), 1);
  EXPECT_EQ(runner[1].matrix<float>()(19, 0), 0);
  EXPECT_EQ(runner[1].matrix<float>()(19, 1), 1);
}

TEST_F(RawDatasetTest, ShardsAreDisjointAndComplete) {
  auto options = once();
  options.shuffle = true;
  options.num_shards = 3;
  std::string seen;
  for (options.shard_index = 0; options.shard_index < 3; ++options.shard_index) seen += letters(options);
  std::sort(seen.begin(), seen.end());
  EXPECT_EQ(seen, "abcdefghijklmnopqrst");
  options.shard_index = 3;
  EXPECT_NE(message_of<InvalidArgumentError>([&] { letters(options); }).find("shard_index is 3"), std::string::npos);
}

TEST_F(RawDatasetTest, WorkersOfAClusterReadTheirOwnShards) {
  auto options = once();
  options.shuffle = true;
  set_flag("worker_hosts", "a:1,b:1,c:1");
  std::string seen;
  for (int worker = 0; worker < 3; ++worker) {
    set_flag("task_index", worker);
    const std::string part = letters(options);
    EXPECT_EQ(part.size(), worker < 2 ? 7u : 6u);
    seen += part;
  }
  EXPECT_EQ(sorted(seen), all_);
  options.num_shards = 1;  // all the same, whatever the flags say
  EXPECT_EQ(sorted(letters(options)), all_);
  options.num_shards = 0;
  options.shard_index = 1;
  EXPECT_NE(message_of<InvalidArgumentError>([&] { letters(options); }).find("give num_shards too"), std::string::npos);
  reset_flags();
}

TEST_F(RawDatasetTest, ReadersByName) {
  auto options = once();
  options.reader_class = "AsyncRawGenerator";
  options.reader_kwargs = {{"num_readers", 40}, {"capacity", 7}};
  options.private_num_threads = 3;
  EXPECT_EQ(letters(options), all_);
  options.reader_kwargs = {{"queue", 1}};
  EXPECT_EQ(message_of<InvalidArgumentError>([&] { letters(options); }),
            "reader_kwargs has no 'queue'; it has: num_readers, capacity");
  options.reader_class = "Reader";
  EXPECT_EQ(message_of<InvalidArgumentError>([&] { letters(options); }),
            "there is no reader_class 'Reader'; there are: ParallelReader, AsyncRawGenerator");
}

TEST_F(RawDatasetTest, LaterEpochsReadTheCache) {
  TempDir cache;
  auto options = once();
  options.num_epochs = 2;
  options.cache_dir = cache.path();
  options.remove_cache_on_finish = false;
  options.capacity = 1;
  options.num_readers = 1;
  {
    auto scope = Scope::new_root();
    PipelineRunner runner(scope, dataset(options).get(scope, {"image_name"}));
    for (int i = 0; i < 21; ++i) ASSERT_TRUE(runner.next());
    std::filesystem::remove_all(dir_.path("odd"));  // the first epoch is over: nothing is read from there any more
    for (int i = 21; i < 40; ++i) ASSERT_TRUE(runner.next()) << i;
  }
  EXPECT_TRUE(std::filesystem::exists(cache.path("mox-cache")));
}

TEST_F(RawDatasetTest, CacheServesTheNextRunAndSeesChanges) {
  TempDir cache;
  auto options = once();
  options.cache_dir = cache.path();
  options.remove_cache_on_finish = false;
  EXPECT_EQ(letters(options), all_);
  const ImageClassificationRawMetadata metadata(dir_.path());
  std::filesystem::remove_all(dir_.path());
  auto scope = Scope::new_root();
  PipelineRunner runner(scope, ImageClassificationRawDataset(metadata, options).get(scope, {"image"}));
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(runner.next());
  // A file that changed is another entry.
  dir_.write("even/a.jpg", read_file(std::string(MOX_TEST_IMAGES) + "/rgb.png"));
  auto again = Scope::new_root();
  PipelineRunner changed(again, dataset(options).get(again, {"image"}));
  ASSERT_TRUE(changed.next());
  EXPECT_EQ((changed[0].tensor<uint8_t, 3>()(0, 0, 0)), 220);
}

TEST_F(RawDatasetTest, CacheIsRemovedOnFinishByDefault) {
  TempDir cache;
  auto options = once();
  options.cache_dir = cache.path();
  cache.write("mine.txt", "not the cache's");
  EXPECT_EQ(letters(options), all_);
  EXPECT_FALSE(std::filesystem::exists(cache.path("mox-cache")));
  EXPECT_TRUE(std::filesystem::exists(cache.path("mine.txt")));
}

TEST_F(RawDatasetTest, CacheDirFromTheEnvironment) {
  TempDir cache;
  auto options = once();
  options.cache_dir = "ENV";
  options.remove_cache_on_finish = false;
  ::unsetenv("DLS_LOCAL_CACHE_PATH");
  EXPECT_NE(message_of<std::runtime_error>([&] { letters(options); }).find("DLS_LOCAL_CACHE_PATH is not set"),
            std::string::npos);
  ::setenv("DLS_LOCAL_CACHE_PATH", cache.path().c_str(), 1);
  EXPECT_EQ(letters(options), all_);
  ::unsetenv("DLS_LOCAL_CACHE_PATH");
  EXPECT_TRUE(std::filesystem::exists(cache.path("mox-cache")));
}

}  // namespace
}  // namespace mox::test
