// The cache on a file system of 2 MB: a really full disk, in the middle of an epoch.
#include <sys/mount.h>

#include <filesystem>

#include "data/pipeline_runner.h"
#include "moxing/datasets.h"
#include "moxing/log.h"

namespace mox::test {
namespace {

namespace fs = std::filesystem;

class FullDiskTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::mount("tmpfs", disk_.path().c_str(), "tmpfs", 0, "size=2m") != 0) GTEST_SKIP() << "mounting needs root";
    mounted_ = true;
    set_log_sink([this](LogLevel, std::string_view line) { log_ += std::string(line) + "\n"; });
    // Behind its end a JPEG may have anything: 100 images of 100 KB, five times what the disk holds.
    const std::string image = read_file(std::string(MOX_TEST_IMAGES) + "/baseline.jpg");
    for (int i = 0; i < 100; ++i) data_.write("c/" + std::to_string(i) + ".jpg", image + std::string(100'000, 'x'));
  }
  void TearDown() override {
    set_log_sink(nullptr);
    if (mounted_) ::umount2(disk_.path().c_str(), MNT_DETACH);
  }

  int deliver(bool remove_on_finish, const std::string& cache = "encoded") {
    RawDatasetOptions options;
    options.cache = cache;
    options.image_size = ImageSize{180, 180};  // 97 KB of pixels
    options.num_epochs = 2;
    options.cache_dir = disk_.path();
    options.remove_cache_on_finish = remove_on_finish;
    auto scope = Scope::new_root();
    const ImageClassificationRawMetadata metadata(data_.path());
    PipelineRunner runner(scope, ImageClassificationRawDataset(metadata, options).get(scope, {"image", "label"}));
    int count = 0;
    while (runner.next()) ++count;
    return count;
  }
  // Without the lock.
  int entries() const {
    int count = 0;
    for (const auto& item : fs::recursive_directory_iterator(disk_.path()))
      count += item.is_regular_file() && item.path().filename() != "in_use";
    return count;
  }
  static int count_of(const std::string& text, const std::string& part) {
    int count = 0;
    for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
    return count;
  }

  TempDir disk_, data_;
  bool mounted_ = false;
  std::string log_;
};

TEST_F(FullDiskTest, TrainingGoesOnWithOneWarning) {
  EXPECT_EQ(deliver(/*remove_on_finish=*/false), 200);
  EXPECT_EQ(count_of(log_, "nothing more is cached in this run"), 1) << log_;
  EXPECT_NE(log_.find("No space left on device"), std::string::npos) << log_;
  const int kept = entries();
  EXPECT_GT(kept, 5);
  EXPECT_LT(kept, 21);                                         // 2 MB
  EXPECT_TRUE(fs::is_empty(disk_.path("mox-cache/writing")));  // nothing half written stays
  log_.clear();
  // The next run is served by what is whole.
  EXPECT_EQ(deliver(/*remove_on_finish=*/true), 200);
  EXPECT_EQ(log_.find("damaged"), std::string::npos) << log_;
}

TEST_F(FullDiskTest, PixelsAreKeptWhileTheyFit) {
  EXPECT_EQ(deliver(/*remove_on_finish=*/false, "decoded"), 200);
  EXPECT_EQ(count_of(log_, "nothing more is cached in this run"), 1) << log_;
  EXPECT_GT(entries(), 5);
  EXPECT_TRUE(fs::is_empty(disk_.path("mox-cache/writing")));
  log_.clear();
  EXPECT_EQ(deliver(/*remove_on_finish=*/true, "decoded"), 200);
  EXPECT_EQ(log_.find("damaged"), std::string::npos) << log_;
}

TEST_F(FullDiskTest, IsRemovedOnFinishAllTheSame) {
  EXPECT_EQ(deliver(/*remove_on_finish=*/true), 200);
  EXPECT_FALSE(fs::exists(disk_.path("mox-cache")));
}

}  // namespace
}  // namespace mox::test
