// JPEG files are decoded row by row where they are resized: the pixels, and the verdict on damaged files, are those of
// TensorFlow's own reader with the whole image in memory.
#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <random>

#include "data/jpeg_codings.h"
#include "data/pipeline_runner.h"
#include "moxing/datasets.h"
#include "tensorflow/core/lib/jpeg/jpeg_mem.h"

namespace mox::test {
namespace {

namespace fs = std::filesystem;

using Pixels = std::vector<uint8_t>;

// nullopt: TensorFlow's reader refuses the file.
std::optional<Pixels> reference(const std::string& content, ImageSize size) {
  tensorflow::jpeg::UncompressFlags flags;
  flags.components = 3;
  flags.dct_method = JDCT_IFAST;
  Pixels whole;
  int64_t height = 0, width = 0;
  if (!tensorflow::jpeg::Uncompress(content.data(), static_cast<int>(content.size()), flags, nullptr,
                                    [&](int w, int h, int) {
                                      height = h, width = w;
                                      whole.resize(static_cast<size_t>(h) * w * 3);
                                      return whole.data();
                                    }))
    return std::nullopt;
  const auto place = [](int64_t i, int64_t from, int64_t to) {
    return std::min(static_cast<int64_t>(static_cast<float>(i) * (static_cast<float>(from) / static_cast<float>(to))),
                    from - 1);
  };
  Pixels out;
  for (int64_t y = 0; y < size.height; ++y)
    for (int64_t x = 0; x < size.width; ++x) {
      const auto* pixel =
          &whole[static_cast<size_t>(place(y, height, size.height) * width + place(x, width, size.width)) * 3];
      out.insert(out.end(), pixel, pixel + 3);
    }
  return out;
}

// What the data set delivers of the folder's files, by name.
std::map<std::string, Pixels> deliver(const std::string& folder, ImageSize size) {
  RawDatasetOptions options;
  options.num_epochs = 1;
  options.image_size = size;
  options.max_broken_samples = 1000000;
  auto scope = Scope::new_root();
  ImageClassificationRawDataset dataset(ImageClassificationRawMetadata(folder), options);
  PipelineRunner runner(scope, dataset.get(scope, {"image", "image_name"}));
  std::map<std::string, Pixels> images;
  while (runner.next()) {
    const auto pixels = runner[0].flat<uint8_t>();
    const std::string path = runner[1].scalar<tensorflow::tstring>()();
    images[fs::path(path).filename().string()] = Pixels(pixels.data(), pixels.data() + pixels.size());
  }
  return images;
}

std::vector<std::string> photographs(size_t count) {
  std::vector<fs::path> files;
  for (const auto& item : fs::recursive_directory_iterator("/usr/share/doc/opencv-doc"))
    if (item.is_regular_file() && item.path().extension() == ".jpg") files.push_back(item.path());
  std::sort(files.begin(), files.end());
  std::vector<std::string> contents;
  for (size_t i = 0; i < count; ++i) contents.push_back(read_file(files[i * files.size() / count].string()));
  return contents;
}

TEST(JpegRowsTest, EverySizeHasTheReferencesPixels) {
  if (!fs::exists("/usr/share/doc/opencv-doc")) GTEST_SKIP() << "the package opencv-doc is not installed";
  std::map<std::string, std::string> contents;
  for (const std::string& content : photographs(50)) contents[std::to_string(contents.size()) + ".jpg"] = content;
  for (const char* file : {"baseline.jpg", "progressive.jpg", "grey.jpg", "cmyk.jpg"})
    contents[file] = read_file(std::string(MOX_TEST_IMAGES) + "/" + file);
  TempDir dir;
  for (const auto& [name, content] : contents) dir.write("c/" + name, content);
  for (const ImageSize size : {ImageSize{224, 224}, ImageSize{7, 501}, ImageSize{1000, 3}, ImageSize{1, 1}}) {
    const auto images = deliver(dir.path(), size);
    EXPECT_EQ(images.size(), contents.size());
    for (const auto& [name, pixels] : images)
      EXPECT_TRUE(pixels == reference(contents[name], size)) << name << " as " << size.height << "x" << size.width;
  }
}

TEST(JpegRowsTest, DamagedFilesAreWhatTheReferenceSays) {
  if (!fs::exists("/usr/share/doc/opencv-doc")) GTEST_SKIP() << "the package opencv-doc is not installed";
  TempDir dir;
  std::mt19937 random(7);
  std::map<std::string, std::string> contents;
  for (std::string content : photographs(120)) {
    const size_t at = 20 + random() % (content.size() - 20);
    if (random() % 3 == 0)
      content.resize(at);
    else
      content[at] = static_cast<char>(content[at] ^ (1 << random() % 8));
    const std::string name = std::to_string(contents.size()) + ".jpg";
    contents[name] = content;
    dir.write("c/" + name, content);
  }
  const ImageSize size{61, 97};
  const auto images = deliver(dir.path(), size);
  size_t refused = 0;
  for (const auto& [name, content] : contents) {
    const auto expected = reference(content, size);
    const auto found = images.find(name);
    ASSERT_EQ(found != images.end(), expected.has_value()) << name;
    if (expected) {
      EXPECT_TRUE(found->second == *expected) << name;
    } else {
      ++refused;
    }
  }
  EXPECT_GT(refused, 20u);
  EXPECT_GT(images.size(), 20u);
}

void expect_the_references(const std::vector<std::string>& contents, ImageSize size, size_t* refused) {
  TempDir dir;
  for (size_t i = 0; i < contents.size(); ++i) dir.write("c/" + std::to_string(i) + ".jpg", contents[i]);
  const auto images = deliver(dir.path(), size);
  for (size_t i = 0; i < contents.size(); ++i) {
    const auto expected = reference(contents[i], size);
    const auto found = images.find(std::to_string(i) + ".jpg");
    ASSERT_EQ(found != images.end(), expected.has_value()) << i;
    if (expected)
      EXPECT_TRUE(found->second == *expected) << i;
    else
      ++*refused;
  }
}

TEST(JpegRowsTest, EveryCodingHasTheReferencesPixels) {
  size_t refused = 0;
  expect_the_references(codings(), {80, 100}, &refused);
  EXPECT_EQ(refused, 0u);
}

// Also what a restart marker hides: a decoder may go on after it as if nothing were wrong.
TEST(JpegRowsTest, EveryDamagedCodingIsWhatTheReferenceSays) {
  std::mt19937 random(11);
  auto contents = codings();
  for (std::string& content : contents) {
    const size_t at = content.size() - random() % std::min<size_t>(content.size() / 2, 4000) - 1;
    switch (random() % 4) {
      case 0:
        content.resize(at);
        break;
      case 1:
        content.erase(at, 1 + random() % 3);
        break;
      case 2:
        content.insert(at, 1 + random() % 3, static_cast<char>(random() % 3 ? random() : 0xFF));
        break;
      default:
        content[at] = static_cast<char>(content[at] ^ (1 << random() % 8));
    }
  }
  size_t refused = 0;
  expect_the_references(contents, {80, 100}, &refused);
  EXPECT_GT(refused, 20u);
  EXPECT_LT(refused, contents.size() - 20);
}

}  // namespace
}  // namespace mox::test
