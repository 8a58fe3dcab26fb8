// A cache of decoded pixels: what it keeps, and that nothing else than the file's pixels is ever delivered.
// fused_augmentation_test.cc compares the numbers with those of the files, through augmentation.
#include <chrono>
#include <filesystem>
#include <fstream>

#include "data/pipeline_runner.h"
#include "moxing/datasets.h"
#include "moxing/error.h"
#include "moxing/log.h"

namespace mox::test {
namespace {

namespace fs = std::filesystem;
namespace tf = tensorflow;

std::string picture(const char* name) { return read_file(std::string(MOX_TEST_IMAGES) + "/" + name); }

// All entries, without the lock.
std::vector<fs::path> entries(const std::string& folder) {
  std::vector<fs::path> found;
  for (const auto& item : fs::recursive_directory_iterator(folder))
    if (item.is_regular_file() && item.path().filename() != "in_use") found.push_back(item.path());
  return found;
}

class PixelCacheTest : public ::testing::Test {
 protected:
  void SetUp() override {
    set_log_sink([this](LogLevel, std::string_view line) { log_ += std::string(line) + "\n"; });
    options_.shuffle = false;
    options_.num_epochs = 2;
    options_.cache_dir = cache_.path();
    options_.cache = "decoded";
    options_.remove_cache_on_finish = false;
  }
  void TearDown() override { set_log_sink(nullptr); }

  // The images of all epochs.
  std::vector<tf::Tensor> deliver(const RawDatasetOptions& options) const {
    const Scope scope = Scope::new_root();
    ImageClassificationRawDataset dataset(ImageClassificationRawMetadata(data_.path()), options);
    PipelineRunner runner(scope, dataset.get(scope, {"image"}));
    std::vector<tf::Tensor> found;
    while (runner.next()) found.push_back(runner[0]);
    return found;
  }
  void expect_as_without_cache() const {
    RawDatasetOptions without = options_;
    without.cache_dir.clear();
    without.cache = "encoded";
    const auto expected = deliver(without), found = deliver(options_);
    ASSERT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < found.size(); ++i) {
      ASSERT_EQ(found[i].shape(), expected[i].shape());
      EXPECT_EQ(found[i].tensor_data(), expected[i].tensor_data()) << "image " << i;
    }
  }
  // Other content, as if nothing had changed.
  void overwrite(const std::string& name, const std::string& content) const {
    const std::string path = data_.path(name);
    const auto time = fs::last_write_time(path);
    std::string same_size = content;
    same_size.resize(fs::file_size(path), 'x');
    data_.write(name, same_size);
    fs::last_write_time(path, time);
  }

  TempDir data_, cache_;
  RawDatasetOptions options_;
  std::string log_;
};

TEST_F(PixelCacheTest, IsReadInTheNextEpochAndTheNextRun) {
  for (const char* name : {"baseline.jpg", "transparent.png"}) data_.write(std::string("c/") + name, picture(name));
  expect_as_without_cache();
  EXPECT_EQ(entries(cache_.path()).size(), 2u);
  // Only the cache has the images.
  for (const char* name : {"c/baseline.jpg", "c/transparent.png"}) overwrite(name, "");
  const auto images = deliver(options_);
  ASSERT_EQ(images.size(), 4u);
  for (const tf::Tensor& image : images) EXPECT_EQ(image.shape(), tf::TensorShape({16, 24, 3}));
}

TEST_F(PixelCacheTest, KeepsTheSizeThatIsAskedFor) {
  data_.write("c/baseline.jpg", picture("baseline.jpg"));
  options_.image_size = ImageSize{200, 300};
  options_.batch_size = 1;
  expect_as_without_cache();
  ASSERT_EQ(entries(cache_.path()).size(), 1u);
  const auto size = fs::file_size(entries(cache_.path())[0]);
  EXPECT_GE(size, 200u * 300 * 3);
  EXPECT_LE(size, 200u * 300 * 3 + 1000);
}

TEST_F(PixelCacheTest, OptionsThatMakeOtherPixelsHaveEntriesOfTheirOwn) {
  for (const char* name : {"transparent.png", "turned.jpg"}) data_.write(std::string("c/") + name, picture(name));
  size_t runs = 0;
  const auto next = [&] {
    expect_as_without_cache();
    EXPECT_EQ(entries(cache_.path()).size(), 2 * ++runs);
  };
  next();
  options_.alpha = "white";
  next();
  options_.alpha = "black";
  next();
  options_.apply_exif_orientation = true;
  next();
  options_.image_size = ImageSize{7, 9};
  next();
  options_.image_size = ImageSize{9, 7};
  next();
}

TEST_F(PixelCacheTest, AChangedFileIsReadAnew) {
  const std::string path = data_.write("c/image", picture("baseline.jpg"));
  deliver(options_);
  const auto time = fs::last_write_time(path);
  data_.write("c/image", picture("turned.jpg"));
  fs::last_write_time(path, time + std::chrono::seconds(5));
  expect_as_without_cache();
  EXPECT_EQ(entries(cache_.path()).size(), 2u);
}

TEST_F(PixelCacheTest, DamagedEntriesAreWrittenAgain) {
  data_.write("c/image.jpg", picture("baseline.jpg"));
  deliver(options_);
  const fs::path entry = entries(cache_.path()).at(0);
  const std::string whole = read_file(entry.string());
  std::string changed = whole;
  changed[whole.size() / 2] ^= 1;
  for (const std::string& damaged : {changed, whole.substr(0, whole.size() - 1), whole + "x", std::string()}) {
    log_.clear();
    std::ofstream(entry, std::ios::binary | std::ios::trunc) << damaged;
    expect_as_without_cache();
    EXPECT_NE(log_.find("is damaged and is written again"), std::string::npos) << log_;
    EXPECT_EQ(read_file(entry.string()), whole);
  }
}

TEST_F(PixelCacheTest, BrokenFilesAreToldAsWithoutACache) {
  data_.write("c/broken.jpg", picture("baseline.jpg").substr(0, 300));
  data_.write("c/whole.jpg", picture("baseline.jpg"));
  options_.max_broken_samples = 1;
  expect_as_without_cache();
  EXPECT_NE(log_.find("c/broken.jpg: the JPEG is damaged or cut off"), std::string::npos) << log_;
  EXPECT_EQ(entries(cache_.path()).size(), 1u);
}

TEST_F(PixelCacheTest, ImpossibleOptionsAreToldAtOnce) {
  data_.write("c/image.jpg", picture("baseline.jpg"));
  const auto open = [&](const RawDatasetOptions& options) {
    ImageClassificationRawDataset(ImageClassificationRawMetadata(data_.path()), options);
  };
  const auto problem = [&](const RawDatasetOptions& options) {
    return message_of<InvalidArgumentError>([&] { open(options); });
  };
  RawDatasetOptions options;
  options.cache = "decoded";
  EXPECT_NE(problem(options).find("there is no cache_dir"), std::string::npos);
  options.cache_dir = cache_.path();
  EXPECT_NO_THROW(open(options));
  options.preprocess_fn = [](const Scope&, const RawSample& sample) { return sample; };
  EXPECT_NE(problem(options).find("preprocess_fn"), std::string::npos);
  options.cache = "pixels";
  EXPECT_NE(problem(options).find("encoded"), std::string::npos);
}

}  // namespace
}  // namespace mox::test
