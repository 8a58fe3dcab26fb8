// Every image format: 24x16 pixels, four quadrants: red, green / blue, white.
#include <cmath>
#include <filesystem>

#include "data/pipeline_runner.h"
#include "moxing/datasets.h"

namespace mox::test {
namespace {

struct Rgb {
  int r, g, b;
};

void expect_near(const tensorflow::Tensor& image, int y, int x, Rgb expected, int tolerance, const std::string& what) {
  const auto pixels = image.tensor<uint8_t, 3>();
  const Rgb got{pixels(y, x, 0), pixels(y, x, 1), pixels(y, x, 2)};
  EXPECT_LE(std::max({std::abs(got.r - expected.r), std::abs(got.g - expected.g), std::abs(got.b - expected.b)}),
            tolerance)
      << what << " at " << y << "," << x << ": " << got.r << " " << got.g << " " << got.b;
}

tensorflow::Tensor decode_one(const std::string& file, RawDatasetOptions options = {}) {
  TempDir dir;
  dir.write("c/image.jpg", read_file(std::string(MOX_TEST_IMAGES) + "/" + file));  // the name says nothing
  options.num_epochs = 1;
  auto scope = Scope::new_root();
  ImageClassificationRawDataset dataset(ImageClassificationRawMetadata(dir.path()), options);
  PipelineRunner runner(scope, dataset.get(scope, {"image"}));
  EXPECT_TRUE(runner.next()) << file;
  return runner[0];
}

class FormatTest : public ::testing::TestWithParam<std::tuple<const char*, int>> {};

TEST_P(FormatTest, Colours) {
  const auto [file, tolerance] = GetParam();
  const auto image = decode_one(file);
  ASSERT_EQ(image.shape(), tensorflow::TensorShape({16, 24, 3}));
  expect_near(image, 2, 3, {220, 30, 30}, tolerance, file);
  expect_near(image, 3, 20, {30, 200, 40}, tolerance, file);
  expect_near(image, 13, 4, {40, 50, 210}, tolerance, file);
  expect_near(image, 14, 21, {240, 240, 240}, tolerance, file);
}

INSTANTIATE_TEST_SUITE_P(Files, FormatTest,
                         ::testing::Values(std::tuple("baseline.jpg", 6), std::tuple("progressive.jpg", 6),
                                           std::tuple("cmyk.jpg", 12), std::tuple("rgb.png", 0),
                                           std::tuple("palette.png", 40), std::tuple("alpha.png", 0),
                                           std::tuple("rgb24.bmp", 0), std::tuple("palette8.bmp", 8),
                                           std::tuple("animated.gif", 8), std::tuple("lossless.webp", 0),
                                           std::tuple("lossy.webp", 30), std::tuple("animated.webp", 0)),
                         [](const auto& info) {
                           std::string name = std::get<0>(info.param);
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

TEST(ImageFormatTest, GreyBecomesThreeEqualChannels) {
  for (const char* file : {"grey.jpg", "mono.bmp"}) {
    const auto image = decode_one(file);
    ASSERT_EQ(image.shape(), tensorflow::TensorShape({16, 24, 3}));
    const auto pixels = image.tensor<uint8_t, 3>();
    EXPECT_EQ(pixels(14, 21, 0), pixels(14, 21, 2));
    EXPECT_GT(pixels(14, 21, 0), 230);
  }
}

TEST(ImageFormatTest, TransparentPixelsLieOverWhatIsAskedFor) {
  // Red is not there at all, green by a fifth.
  const std::vector<std::tuple<std::string, Rgb, Rgb>> expected = {{"drop", {220, 30, 30}, {30, 200, 40}},
                                                                   {"white", {255, 255, 255}, {210, 244, 212}},
                                                                   {"black", {0, 0, 0}, {6, 40, 8}}};
  for (const auto& [alpha, red, green] : expected) {
    RawDatasetOptions options;
    options.alpha = alpha;
    const auto image = decode_one("transparent.png", options);
    ASSERT_EQ(image.shape(), tensorflow::TensorShape({16, 24, 3}));
    expect_near(image, 2, 3, red, 0, alpha);
    expect_near(image, 3, 20, green, 0, alpha);
    expect_near(image, 13, 4, {40, 50, 210}, 0, alpha);
    for (const char* opaque : {"rgb.png", "palette.png", "lossless.webp", "baseline.jpg"})
      expect_near(decode_one(opaque, options), 14, 21, {240, 240, 240}, 40, opaque);
  }
  RawDatasetOptions options;
  options.alpha = "whit";
  const ImageClassificationRawMetadata none = [] {
    TempDir dir;
    dir.write("c/image.jpg", "x");
    return ImageClassificationRawMetadata(dir.path());
  }();
  EXPECT_THROW(ImageClassificationRawDataset(none, options), InvalidArgumentError);
}

TEST(ImageFormatTest, ExifOrientationOnlyWhenAsked) {
  EXPECT_EQ(decode_one("turned.jpg").shape(), tensorflow::TensorShape({16, 24, 3}));
  RawDatasetOptions options;
  options.apply_exif_orientation = true;
  const auto turned = decode_one("turned.jpg", options);
  ASSERT_EQ(turned.shape(), tensorflow::TensorShape({24, 16, 3}));
  // Turned clockwise: the lower left (blue) is now the upper left.
  expect_near(turned, 3, 2, {40, 50, 210}, 6, "turned");
  expect_near(turned, 3, 13, {220, 30, 30}, 6, "turned");
  expect_near(turned, 20, 13, {30, 200, 40}, 6, "turned");
}

TEST(ImageFormatTest, ResizesByNearestNeighbour) {
  RawDatasetOptions options;
  options.image_size = ImageSize{5, 7};
  const auto image = decode_one("rgb.png", options);
  ASSERT_EQ(image.shape(), tensorflow::TensorShape({5, 7, 3}));
  // Row 2 of 5 comes from floor(2 * 16 / 5) = 6, row 3 from 9; column 3 of 7 from 10, column 4 from 13.
  expect_near(image, 2, 3, {220, 30, 30}, 0, "resized");
  expect_near(image, 2, 4, {30, 200, 40}, 0, "resized");
  expect_near(image, 3, 3, {40, 50, 210}, 0, "resized");
}

}  // namespace
}  // namespace mox::test
