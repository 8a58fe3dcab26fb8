// A long pipeline holds what its capacity says and 200 MiB at most, and not more with every epoch.
#include "data/pipeline_runner.h"
#include "data/record_writer.h"
#include "moxing/datasets.h"
#include "moxing/log.h"

namespace mox::test {
namespace {

constexpr int kImages = 240, kEpochs = 12;
constexpr int64_t kMiB = 1 << 20;
constexpr int64_t kFileBytes = 60 << 10;  // as the manual's flowers
constexpr int64_t kBatch = 32;

class MemoryTest : public ::testing::Test {
 protected:
  MemoryTest() {
    set_log_sink([](LogLevel, std::string_view) {});
    // Behind its end a JPEG may have anything.
    image_ = read_file(std::string(MOX_TEST_IMAGES) + "/../../preprocess/data/fruits.jpg");
    image_.resize(kFileBytes, '\0');
  }
  ~MemoryTest() override { set_log_sink(nullptr); }
  void SetUp() override {
#ifdef NDEBUG_SANITIZER
    GTEST_SKIP() << "sanitizers keep memory of their own";
#endif
  }

  template <typename Options>
  static Options with_common(Options options) {
    options.num_epochs = kEpochs;
    options.batch_size = kBatch;
    options.image_size = ImageSize{224, 224};
    return options;
  }

  // Runs to the end. `held`: bytes that the user's options keep in memory.
  static void check(Dataset& dataset, int64_t held) {
    const int64_t before = resident_bytes();
    int64_t most = 0, first_half = 0, second_half = 0, images = 0;  // in a half that keeps all files: 84 MiB more
    {
      auto scope = Scope::new_root();
      PipelineRunner runner(scope, dataset.get(scope, {"image", "label"}));
      while (runner.next()) {
        images += runner[1].NumElements();
        const int64_t now = resident_bytes() - before;
        most = std::max(most, now);
        int64_t& part = images <= kImages * kEpochs / 2 ? first_half : second_half;
        part = std::max(part, now);
      }
    }
    EXPECT_EQ(images, kImages * kEpochs);
    EXPECT_LT(most, held + 200 * kMiB) << most / kMiB << " MiB, of which " << held / kMiB << " are asked for";
    EXPECT_LT(second_half, first_half + 40 * kMiB)
        << "MiB: " << first_half / kMiB << " first, " << second_half / kMiB << " later";
    RecordProperty("mib", static_cast<int>(most / kMiB));
    RecordProperty("mib_asked_for", static_cast<int>(held / kMiB));
  }

  TempDir dir_;
  std::string image_;
};

TEST_F(MemoryTest, ImageFiles) {
  for (int i = 0; i < kImages; ++i) dir_.write("c/" + std::to_string(i) + ".jpg", image_);
  auto options = with_common(RawDatasetOptions());
  options.capacity = 200;
  options.reader_class = "AsyncRawGenerator";
  ImageClassificationRawDataset dataset(ImageClassificationRawMetadata(dir_.path()), options);
  check(dataset, options.capacity * kFileBytes);
}

TEST_F(MemoryTest, Records) {
  for (int file = 0; file < 8; ++file)
    write_records(dir_.path("train-" + std::to_string(file)),
                  std::vector<std::string>(kImages / 8, image_record(image_, 0)));
  auto options = with_common(ImageTFRecordDatasetOptions());
  options.shuffle_buffer_size = 200;
  ImageClassificationTFRecordDataset dataset(ImageClassificationTFRecordMetadata(dir_.path(), {"train-*"}), options);
  check(dataset, options.shuffle_buffer_size * kFileBytes);
}

}  // namespace
}  // namespace mox::test
