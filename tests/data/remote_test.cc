// Data sets in a real object store (versitygw): images read many at once, TFRecord files, cache, a store that fails.
#include <filesystem>
#include <fstream>

#include "data/pipeline_runner.h"
#include "data/record_writer.h"
#include "file/servers.h"
#include "moxing/datasets.h"
#include "moxing/error.h"
#include "moxing/file.h"
#include "moxing/log.h"

namespace mox::test {
namespace {

namespace fs = std::filesystem;

class RemoteDataTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    Server& store = server("versitygw");
    const std::string image = read_file(std::string(MOX_TEST_IMAGES) + "/baseline.jpg");
    fs::create_directories(store.data_folder() + "/data/records");
    for (int i = 0; i < 60; ++i) {
      const std::string folder = store.data_folder() + "/data/images/" + (i % 2 ? "odd" : "even");
      fs::create_directories(folder);
      std::ofstream(folder + "/" + std::to_string(i) + ".jpg", std::ios::binary) << image;
    }
    for (int file = 0; file < 2; ++file)
      write_records(store.data_folder() + "/data/records/train-" + std::to_string(file),
                    {image_record(image, 0), image_record(image, 1), image_record(image, 2)});
  }
  RemoteDataTest() {
    set_log_sink([](LogLevel, std::string_view) {});
    use_server(server("versitygw"));
  }
  ~RemoteDataTest() override { set_log_sink(nullptr); }

  static RawDatasetOptions once() {
    RawDatasetOptions options;
    options.num_epochs = 1;
    options.reader_class = "AsyncRawGenerator";
    return options;
  }
  static int deliver(const ImageClassificationRawMetadata& metadata, const RawDatasetOptions& options) {
    auto scope = Scope::new_root();
    PipelineRunner runner(scope, ImageClassificationRawDataset(metadata, options).get(scope, {"image", "label"}));
    int count = 0;
    while (runner.next()) ++count;
    return count;
  }
};

TEST_F(RemoteDataTest, Images) {
  const ImageClassificationRawMetadata metadata("s3://data/images");
  EXPECT_EQ(metadata.total_num_samples(), 60);
  EXPECT_EQ(metadata.labels_list(), (std::vector<std::string>{"even", "odd"}));
  EXPECT_EQ(deliver(metadata, once()), 60);
}

TEST_F(RemoteDataTest, SecondEpochComesFromTheCache) {
  TempDir cache;
  FaultProxy proxy(server("versitygw"));
  file::AuthOptions auth;
  auth.server = proxy.endpoint();
  file::set_auth(auth);
  auto options = once();
  options.num_epochs = 3;
  options.cache_dir = cache.path();
  options.reader_kwargs = {{"num_readers", 4}, {"capacity", 4}};
  const ImageClassificationRawMetadata metadata("s3://data/images");
  proxy.report();
  EXPECT_EQ(deliver(metadata, options), 180);
  size_t gets = 0;
  for (const auto& request : proxy.report())
    gets += request.rfind("GET", 0) == 0 && request.find(".jpg") != std::string::npos;
  // Where two epochs meet, a file can be asked for again while another of the 4 readers still has it.
  EXPECT_GE(gets, 60u);
  EXPECT_LE(gets, 63u);
  EXPECT_FALSE(fs::exists(cache.path("mox-cache")));
}

TEST_F(RemoteDataTest, Records) {
  const ImageClassificationTFRecordMetadata metadata("s3://data/records", {"train-*"});
  EXPECT_EQ(metadata.num_samples(), 6);
  for (bool cached : {false, true}) {
    TempDir cache;
    ImageTFRecordDatasetOptions options;
    options.num_epochs = 2;
    if (cached) options.cache_dir = cache.path();
    auto scope = Scope::new_root();
    PipelineRunner runner(scope, ImageClassificationTFRecordDataset(metadata, options).get(scope, {"image", "label"}));
    int count = 0;
    while (runner.next()) ++count;
    EXPECT_EQ(count, 12);
  }
}

// Eight objects of 24 MiB at once: they are read ahead, but not as a whole.
TEST_F(RemoteDataTest, ManyLargeRecordFilesNeedLittleMemory) {
  const std::string folder = server("versitygw").data_folder() + "/data/large";
  fs::create_directories(folder);
  const std::string record =
      image_record(read_file(std::string(MOX_TEST_IMAGES) + "/baseline.jpg").append(100'000, ' '), 0);
  for (int file = 0; file < 8; ++file)
    write_records(folder + "/train-" + std::to_string(file), std::vector<std::string>(240, record));
  const ImageClassificationTFRecordMetadata metadata("s3://data/large", {"train-*"});
  EXPECT_EQ(metadata.num_samples(), 1920);
  const int64_t before = resident_bytes();
  ImageTFRecordDatasetOptions options;
  options.num_epochs = 1;
  options.shuffle_buffer_size = 64;
  auto scope = Scope::new_root();
  PipelineRunner runner(scope, ImageClassificationTFRecordDataset(metadata, options).get(scope, {"label"}));
  int64_t count = 0, most = 0;
  for (; runner.next(); ++count) most = std::max(most, resident_bytes() - before);
  EXPECT_EQ(count, 1920);
  EXPECT_LT(most, int64_t{180} << 20) << (most >> 20) << " MiB";
  RecordProperty("mib", static_cast<int>(most >> 20));
  fs::remove_all(folder);
}

TEST_F(RemoteDataTest, ConvertAndSplitInsideTheStore) {
  EXPECT_EQ(folders_to_tfrecord("s3://data/images", "s3://data/converted").samples, 60);
  EXPECT_EQ(ImageClassificationTFRecordMetadata("s3://data/converted", {"train-*"}).num_samples(), 60);
  split_image_classification_dataset({{"a", 0.5}, {"b", 0.5}}, "s3://data/images", "s3://data/parts");
  EXPECT_EQ(ImageClassificationRawMetadata("s3://data/parts/b").total_num_samples(), 30);
}

TEST_F(RemoteDataTest, StoreThatDeniesAccess) {
  file::AuthOptions auth;
  auth.sk = "wrong";
  auth.retry = 1;
  file::set_auth(auth);
  const std::string message = message_of<Error>([] { ImageClassificationRawMetadata("s3://data/images"); });
  EXPECT_NE(message.find("s3://data/images"), std::string::npos) << message;
  EXPECT_NE(message.find("403"), std::string::npos) << message;
}

TEST_F(RemoteDataTest, StoreThatDiesInMidEpoch) {
  FaultProxy proxy(server("versitygw"));
  file::AuthOptions auth;
  auth.server = proxy.endpoint();
  auth.retry = 2;
  auth.retry_wait = 0.01;
  file::set_auth(auth);
  const ImageClassificationRawMetadata metadata("s3://data/images");
  auto options = once();
  options.shuffle = false;
  options.reader_kwargs = {{"num_readers", 2}, {"capacity", 2}};
  proxy.fault("503", 2, "GET", ".*even/2[.]jpg");  // every attempt of one object
  const std::string message = message_of<std::runtime_error>([&] { deliver(metadata, options); });
  EXPECT_NE(message.find("even/2.jpg"), std::string::npos) << message;
  proxy.fault("503", 2, "GET", ".*even/2[.]jpg");
  options.max_broken_samples = 1;
  EXPECT_EQ(deliver(metadata, options), 59);
}

}  // namespace
}  // namespace mox::test
