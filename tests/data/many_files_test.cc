// Data sets of very many files: what a file costs, and what is said while they are listed.
#include <chrono>
#include <filesystem>

#include "data/image_table.h"
#include "data/pipeline_runner.h"
#include "data/wait_log.h"
#include "moxing/datasets.h"
#include "moxing/log.h"

namespace mox::test {
namespace {

namespace tf = tensorflow;

class ManyFilesTest : public ::testing::Test {
 protected:
  static constexpr int kClasses = 3, kFiles = 700;  // more than are looked at in one go
  ManyFilesTest() {
    const std::string file = dir_.write("first.jpg", "x");
    for (int i = 0; i < kClasses; ++i) {
      std::filesystem::create_directory(dir_.path(name(i)));
      for (int k = 0; k < kFiles; ++k) std::filesystem::create_hard_link(file, dir_.path(name(i)) + "/" + image(k));
    }
  }
  static std::string name(int i) { return "class_" + std::to_string(i); }
  static std::string image(int k) { return std::to_string(10'000 + k) + ".jpg"; }
  TempDir dir_;
};

TEST_F(ManyFilesTest, AFileTakesItsNameAndTwentyEightBytesAndCopiesShareThem) {
  const ImageClassificationRawMetadata metadata(dir_.path());
  const ImageFiles& images = metadata.images();
  ASSERT_EQ(images.size(), static_cast<size_t>(kClasses * kFiles));
  size_t at = 0;
  for (const ImageFile& file : images) {
    const int label = static_cast<int>(at) / kFiles, number = static_cast<int>(at) % kFiles;
    ASSERT_EQ(file.name, name(label) + "/" + image(number));
    ASSERT_EQ(file.label, label);
    ASSERT_EQ(file.size, 1);
    ASSERT_EQ(file.version, images[0].version);
    ++at;
  }
  const data::ImageTable& table = images.table();
  size_t bytes = 0;
  for (const tf::Tensor* column : {&table.names, &table.ends, &table.folder_of, &table.sizes, &table.versions})
    bytes += column->TotalBytes();
  EXPECT_EQ(bytes, images.size() * (28 + image(0).size()));
  const ImageClassificationRawMetadata copy = metadata;
  EXPECT_EQ(&copy.images().table(), &table);
}

TEST_F(ManyFilesTest, PipelinesAreFedWithTheMetadatasOwnMemory) {
  const ImageClassificationRawMetadata metadata(dir_.path());
  ImageClassificationRawDataset dataset(metadata, {});
  auto scope = Scope::new_root();
  dataset.get(scope, {"image_name", "label"});
  const data::ImageTable& table = metadata.images().table();
  size_t shared = 0;
  for (const auto& [feed, tensor] : scope.state().iterator_feeds)
    for (const tf::Tensor* column : {&table.names, &table.ends, &table.folder_of, &table.sizes, &table.versions})
      shared += tensor.SharesBufferWith(*column);
  EXPECT_EQ(shared, 5u);
}

TEST_F(ManyFilesTest, SubsetsKeepTheOrderAndTheLabels) {
  const ImageClassificationRawMetadata metadata(dir_.path());
  const auto part = metadata.subset([](const ImageFile& file) { return file.name.ends_with("07.jpg"); });
  ASSERT_EQ(part.images().size(), static_cast<size_t>(kClasses * kFiles / 100));
  EXPECT_EQ(part.images()[0].name, "class_0/10007.jpg");
  EXPECT_EQ(part.images()[8].name, "class_1/10107.jpg");
  EXPECT_EQ(part.images()[8].label, 1);
  EXPECT_EQ(part.num_classes(), kClasses);
}

// Sparse: nothing is read of it.
TEST(ManyRecordsTest, AShuffleBufferOfGigabytesIsTold) {
  TempDir dir;
  std::filesystem::resize_file(dir.write("large.tfrecord", ""), int64_t{4} << 30);
  const std::vector<std::pair<int64_t, bool>> buffers = {{250, true}, {249, false}, {0, false}};
  for (const auto& [buffer, told] : buffers) {
    std::string log;
    set_log_sink([&](LogLevel, std::string_view line) { log += line; });
    TFRecordDatasetOptions options;
    options.shuffle_buffer_size = buffer;
    BaseTFRecordDataset dataset(
        BaseTFRecordMetadata(dir.path(), {"*.tfrecord"}, {.redirect_dir = "", .num_samples = 1000}), {{"x", Feature{}}},
        {{"x", tensor_handler("x")}}, options);
    auto scope = Scope::new_root();
    dataset.get(scope, {"x"});
    set_log_sink(nullptr);
    EXPECT_EQ(log.find("the shuffle buffer holds 250 records, about 1.0 GiB") != std::string::npos, told) << log;
  }
}

TEST(WaitLogTest, SaysNothingOfWhatIsShortAndALineOnceInAWhileOfWhatIsLong) {
  std::vector<std::string> lines;
  set_log_sink([&](LogLevel, std::string_view line) { lines.emplace_back(line); });
  data::WaitLog short_one("listing a", "files");
  for (int i = 0; i < 5; ++i) short_one.add(1000);
  EXPECT_TRUE(lines.empty());
  data::WaitLog long_one("reading b", "files", 20'000, std::chrono::seconds(0));
  long_one.add(500);
  long_one.add(11'500);
  set_log_sink(nullptr);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_NE(lines[0].find("reading b: 500 of 20,000 files after 0 s"), std::string::npos) << lines[0];
  EXPECT_NE(lines[1].find("reading b: 12,000 of 20,000 files after 0 s"), std::string::npos) << lines[1];
}

}  // namespace
}  // namespace mox::test
