// Broken images: counted, named, left out up to the user's limit; else an error with the path.
#include <sys/stat.h>
#include <zlib.h>

#include <filesystem>

#include "data/pipeline_runner.h"
#include "moxing/datasets.h"
#include "moxing/error.h"
#include "moxing/log.h"

namespace mox::test {
namespace {

class BrokenImageTest : public ::testing::Test {
 protected:
  BrokenImageTest() {
    set_log_sink([this](LogLevel, std::string_view line) { log_ += std::string(line) + "\n"; });
    const std::string image = read_file(std::string(MOX_TEST_IMAGES) + "/baseline.jpg");
    for (const char* name : {"c/1.jpg", "c/3.jpg", "c/5.jpg"}) dir_.write(name, image);
    good_ = image;
  }
  ~BrokenImageTest() override { set_log_sink(nullptr); }

  // Samples delivered, with that many allowed to be broken.
  int deliver(int64_t max_broken, bool in_batches = false) {
    RawDatasetOptions options;
    options.num_epochs = 1;
    options.shuffle = false;
    options.max_broken_samples = max_broken;
    if (in_batches) {
      options.batch_size = 2;
      options.image_size = ImageSize{8, 8};
    }
    auto scope = Scope::new_root();
    ImageClassificationRawDataset dataset(ImageClassificationRawMetadata(dir_.path()), options);
    PipelineRunner runner(scope, dataset.get(scope, {"image", "label"}));
    int count = 0;
    while (runner.next()) count += in_batches ? static_cast<int>(runner[1].NumElements()) : 1;
    return count;
  }
  std::string error() {
    return message_of<std::runtime_error>([&] { deliver(0); });
  }

  TempDir dir_;
  std::string good_, log_;
};

TEST_F(BrokenImageTest, StopsWithThePathByDefault) {
  const std::string path = dir_.write("c/2.jpg", "");
  EXPECT_EQ(error().substr(0, error().find(';')), "image " + path + ": the file is empty, expected an image");
  dir_.write("c/2.jpg", good_.substr(0, good_.size() / 2));
  EXPECT_NE(error().find("image " + path + ": the JPEG is damaged or cut off (364 bytes)"), std::string::npos)
      << error();
  dir_.write("c/2.jpg", "just some text");
  EXPECT_NE(error().find("image " + path +
                         ": not an image: it begins with 'just som'; expected JPEG, PNG, BMP, GIF or "
                         "WebP (14 bytes)"),
            std::string::npos)
      << error();
  EXPECT_NE(error().find("max_broken_samples"), std::string::npos);
}

TEST_F(BrokenImageTest, EveryFormatCutOffAnywhere) {
  for (const auto& file : std::filesystem::directory_iterator(MOX_TEST_IMAGES)) {
    const std::string whole = read_file(file.path().string());
    for (size_t size : {size_t{9}, size_t{20}, whole.size() / 3, whole.size() / 2, whole.size() * 3 / 4}) {
      dir_.write("c/2.jpg", whole.substr(0, size));
      const int delivered = deliver(1);
      // A GIF or WebP whose first frame is whole may be used.
      EXPECT_TRUE(delivered == 3 || (delivered == 4 && size > whole.size() / 2)) << file.path() << " " << size;
    }
  }
}

TEST_F(BrokenImageTest, LeavesOutUpToTheLimitAndNamesThem) {
  const std::string empty = dir_.write("c/2.jpg", ""), text = dir_.write("c/4.jpg", "text");
  EXPECT_EQ(deliver(2), 3);
  EXPECT_NE(log_.find("broken sample 1 of at most 2 is left out: image " + empty), std::string::npos) << log_;
  EXPECT_NE(log_.find("broken sample 2 of at most 2 is left out: image " + text), std::string::npos) << log_;
  EXPECT_NE(log_.find("broken samples were left out 2 times"), std::string::npos) << log_;
  EXPECT_EQ(deliver(2, true), 3);
  EXPECT_NE(message_of<std::runtime_error>([&] { deliver(1); }).find("image " + text), std::string::npos);
}

std::string big_endian(uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
          static_cast<char>(value)};
}

// A PNG whose header is whole, with next to nothing behind it.
std::string png_header(uint32_t width, uint32_t height) {
  const auto chunk = [](const std::string& body) {
    const auto crc = ::crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()));
    return big_endian(static_cast<uint32_t>(body.size() - 4)) + body + big_endian(static_cast<uint32_t>(crc));
  };
  return "\x89PNG\r\n\x1a\n" +
         chunk("IHDR" + big_endian(width) + big_endian(height) + std::string("\x08\x02\0\0\0", 5)) + chunk("IDAT") +
         chunk("IEND");
}

// Memory for 30 GB of pixels must not be asked for.
TEST_F(BrokenImageTest, HeadersThatTellOfTooManyPixels) {
  for (const uint32_t side : {14000u, 100000u, 1000000u}) {
    const std::string path = dir_.write("c/2.jpg", png_header(side, side));
    EXPECT_NE(error().find("image " + path + ": "), std::string::npos) << error();
    EXPECT_EQ(deliver(1), 3) << side;
  }
  dir_.write("c/2.jpg", png_header(14000, 14000));
  EXPECT_NE(error().find("the header tells of 14000x14000 pixels"), std::string::npos) << error();
  std::string jpeg = good_;
  const size_t frame = jpeg.find("\xff\xc0");
  ASSERT_NE(frame, std::string::npos);
  jpeg.replace(frame + 5, 4, "\xff\xdc\xff\xdc");
  dir_.write("c/2.jpg", jpeg);
  EXPECT_EQ(deliver(1), 3);
  std::string gif = read_file(std::string(MOX_TEST_IMAGES) + "/animated.gif");
  gif.replace(6, 4, "\xff\xff\xff\xff");
  dir_.write("c/2.jpg", gif);
  EXPECT_GE(deliver(1), 3);  // its first frame is small
}

// Reading a pipe would wait for ever.
TEST_F(BrokenImageTest, PipesAreLeftOutByName) {
  ASSERT_EQ(::mkfifo(dir_.path("c/2.jpg").c_str(), 0600), 0);
  EXPECT_EQ(deliver(0), 3);
  EXPECT_NE(log_.find("data folder " + dir_.path("c") + ": 2.jpg is neither a file nor a folder"), std::string::npos)
      << log_;
}

// A function of the user's own cannot tell which file it failed on: what is empty, cut off or no image is named before.
TEST_F(BrokenImageTest, ArePutOutBeforeTheUsersFunction) {
  for (const int64_t batch_size : {0, 2}) {
    RawDatasetOptions options;
    options.num_epochs = 1;
    options.shuffle = false;
    options.batch_size = batch_size;
    options.preprocess_fn = [](const Scope&, const RawSample& sample) { return sample; };
    const auto count = [&](int64_t max_broken) {
      options.max_broken_samples = max_broken;
      auto scope = Scope::new_root();
      ImageClassificationRawDataset dataset(ImageClassificationRawMetadata(dir_.path()), options);
      PipelineRunner runner(scope, dataset.get(scope, {"image", "label"}));
      int64_t delivered = 0;
      while (runner.next()) delivered += runner[1].NumElements();
      return delivered;
    };
    for (const auto& file : std::filesystem::directory_iterator(MOX_TEST_IMAGES)) {
      const std::string whole = read_file(file.path().string());
      dir_.write("c/2.jpg", whole);
      EXPECT_EQ(count(0), 4) << file.path();
      const std::string extension = file.path().extension();
      if (extension == ".bmp" || extension == ".gif") continue;  // only decoding tells
      dir_.write("c/2.jpg", whole.substr(0, whole.size() - 20));
      EXPECT_EQ(count(1), 3) << file.path();
    }
    for (const char* content : {"", "some text"}) {
      const std::string path = dir_.write("c/2.jpg", content);
      EXPECT_NE(message_of<std::runtime_error>([&] { count(0); }).find("image " + path + ": "), std::string::npos);
      EXPECT_EQ(count(1), 3);
    }
  }
}

TEST_F(BrokenImageTest, FilesThatCannotBeRead) {
  std::filesystem::create_symlink("nowhere", dir_.path("c/2.jpg"));
  EXPECT_NE(error().find("data file " + dir_.path("c/2.jpg") + " cannot be read"), std::string::npos) << error();
  EXPECT_EQ(deliver(1), 3);
}

}  // namespace
}  // namespace mox::test
