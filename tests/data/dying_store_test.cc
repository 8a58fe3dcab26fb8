// An object store that dies, hangs or comes back in the middle of an epoch: an error that names the object, never a
// hang.
#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include "data/pipeline_runner.h"
#include "data/record_writer.h"
#include "file/servers.h"
#include "moxing/datasets.h"
#include "moxing/file.h"
#include "moxing/log.h"

namespace mox::test {
namespace {

namespace fs = std::filesystem;

constexpr int kImages = 60;

class DyingStoreTest : public ::testing::Test {
 protected:
  // A store of its own: it is stopped.
  DyingStoreTest() : store_("versitygw", /*tls=*/false) {
    const std::string image = read_file(std::string(MOX_TEST_IMAGES) + "/baseline.jpg");
    for (int i = 0; i < kImages; ++i) {
      const std::string folder = store_.data_folder() + "/data/images/" + (i % 2 ? "odd" : "even");
      fs::create_directories(folder);
      std::ofstream(folder + "/" + std::to_string(i) + ".jpg", std::ios::binary) << image;
    }
    fs::create_directories(store_.data_folder() + "/data/records");
    for (int file = 0; file < 2; ++file)
      write_records(store_.data_folder() + "/data/records/train-" + std::to_string(file),
                    std::vector<std::string>(500, image_record(image, 0)));
    set_log_sink([](LogLevel, std::string_view) {});
    use_server(store_);
    set_patience(/*attempts=*/3, /*wait=*/0.05);
  }
  ~DyingStoreTest() override { set_log_sink(nullptr); }

  static void set_patience(int attempts, double wait, double silence = 60, const std::string& endpoint = "") {
    file::AuthOptions auth;
    auth.retry = attempts;
    auth.retry_wait = wait;
    auth.client_timeout = silence;
    if (!endpoint.empty()) auth.server = endpoint;
    file::set_auth(auth);
  }

  // Reads 2 ahead of an endless epoch, so that what happens to the store meets the reads.
  static PipelineRunner images(int64_t max_broken = 0) {
    RawDatasetOptions options;
    options.reader_class = "AsyncRawGenerator";
    options.reader_kwargs = {{"num_readers", 2}, {"capacity", 2}};
    options.preprocess_threads = 1;
    options.max_broken_samples = max_broken;
    auto scope = Scope::new_root();
    const ImageClassificationRawMetadata metadata("s3://data/images");
    return PipelineRunner(scope, ImageClassificationRawDataset(metadata, options).get(scope, {"image", "label"}));
  }
  // The error that ends the pipeline: the data is endless.
  static std::string end_of(PipelineRunner& runner) {
    return message_of<std::runtime_error>([&] {
      while (runner.next()) {
      }
    });
  }

  Server store_;
};

TEST_F(DyingStoreTest, ImagesOfADeadStore) {
  auto runner = images();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(runner.next());
  store_.stop();
  const std::string message = end_of(runner);
  EXPECT_NE(message.find("s3://data/images/"), std::string::npos) << message;
  EXPECT_NE(message.find("max_broken_samples"), std::string::npos) << message;
}

// Each object that cannot be read counts: the limit is met soon, and the epochs do not go on with nothing.
TEST_F(DyingStoreTest, TheLimitOfBrokenSamplesEndsIt) {
  set_patience(/*attempts=*/1, /*wait=*/0.01);
  auto runner = images(/*max_broken=*/10);
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(runner.next());
  store_.stop();
  const std::string message = end_of(runner);
  EXPECT_NE(message.find("10 broken samples were left out before"), std::string::npos) << message;
}

TEST_F(DyingStoreTest, AStoreThatComesBackIsWaitedFor) {
  set_patience(/*attempts=*/12, /*wait=*/0.1);
  auto runner = images();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(runner.next());
  store_.stop();
  // Reads in another thread: a program ends with the thread that started it.
  auto delivered = std::async(std::launch::async, [&] {
    int count = 0;
    while (count < 2 * kImages && runner.next()) ++count;
    return count;
  });
  std::this_thread::sleep_for(std::chrono::seconds(1));
  EXPECT_EQ(delivered.wait_for(std::chrono::seconds(0)), std::future_status::timeout);  // it waits for the store
  store_.start();
  EXPECT_EQ(delivered.get(), 2 * kImages);
}

TEST_F(DyingStoreTest, RecordsOfADeadStore) {
  ImageTFRecordDatasetOptions options;
  options.shuffle_buffer_size = 1;
  options.num_parallel = 1;
  auto scope = Scope::new_root();
  const ImageClassificationTFRecordMetadata metadata("s3://data/records", {"train-*"});
  PipelineRunner runner(scope, ImageClassificationTFRecordDataset(metadata, options).get(scope, {"image", "label"}));
  ASSERT_TRUE(runner.next());
  store_.stop();
  const std::string message = end_of(runner);
  EXPECT_NE(message.find("s3://data/records/train-"), std::string::npos) << message;
}

// The connection stands, but nothing comes any more.
TEST_F(DyingStoreTest, AStoreThatHangs) {
  FaultProxy proxy(store_);
  set_patience(/*attempts=*/2, /*wait=*/0.05, /*silence=*/1, proxy.endpoint());
  auto runner = images();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(runner.next());
  proxy.fault("stall", 1000, "GET", ".*[.]jpg", /*delay=*/600);
  const std::string message = end_of(runner);
  EXPECT_NE(message.find("s3://data/images/"), std::string::npos) << message;
}

// A session that is closed while its reads hang ends with their time-out.
TEST_F(DyingStoreTest, ClosingAPipelineWhoseStoreHangs) {
  FaultProxy proxy(store_);
  set_patience(/*attempts=*/2, /*wait=*/0.05, /*silence=*/1, proxy.endpoint());
  const auto begin = std::chrono::steady_clock::now();
  {
    auto runner = images();
    ASSERT_TRUE(runner.next());
    proxy.fault("stall", 1000, "GET", ".*[.]jpg", /*delay=*/600);
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(300));  // the store hangs for twice that
}

}  // namespace
}  // namespace mox::test
