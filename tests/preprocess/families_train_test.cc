// TRAIN: what may come out, that all of it does, and that seeds fix it.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "moxing/error.h"
#include "preprocess/photo.h"

namespace mox {
namespace {

namespace tf = tensorflow;
using testing::Augmentation;

// A small image whose every pixel differs.
tf::Tensor distinct_image(int height, int width, int channels) {
  tf::Tensor image(tf::DT_UINT8, {height, width, channels});
  for (int64_t i = 0; i < image.NumElements(); ++i) image.flat<uint8_t>()(i) = (i * 37 + i / 7 * 11) % 256;
  return image;
}

// Pixel of the crop at (top, left), mirrored or not, of an image with `padding` zeros around.
float source_pixel(const tf::Tensor& image, int padding, int y, int x, int c) {
  y -= padding;
  x -= padding;
  if (y < 0 || x < 0 || y >= image.dim_size(0) || x >= image.dim_size(1)) return 0;
  return image.tensor<uint8_t, 3>()(y, x, c);
}

TEST(VggTrain, IsACropOrItsMirrorWithoutTheMean) {
  const int height = 24, width = 30, out = 20;
  const tf::Tensor image = distinct_image(height, width, 3);
  // The shorter side stays as it is: the crop is exact.
  Augmentation augment(get_data_augmentation_fn("vgg_16", ModeKeys::TRAIN, out, out,
                                                {.resize_side_min = height, .resize_side_max = height}),
                       tf::DT_UINT8, 3, 11);
  const float mean[] = {123.68f, 116.78f, 103.94f};
  std::set<int> tops, lefts, flips;
  for (int draw = 0; draw < 200; ++draw) {
    const tf::Tensor got = augment(image);
    int found = 0;
    for (int top = 0; top <= height - out; ++top)
      for (int left = 0; left <= width - out; ++left)
        for (int flip : {0, 1}) {
          bool same = true;
          for (int y = 0; same && y < out; ++y)
            for (int x = 0; same && x < out; ++x)
              for (int c = 0; same && c < 3; ++c)
                same = std::abs(got.tensor<float, 3>()(y, flip ? out - 1 - x : x, c) + mean[c] -
                                source_pixel(image, 0, top + y, left + x, c)) < 1e-3;
          if (!same) continue;
          ++found;
          tops.insert(top);
          lefts.insert(left);
          flips.insert(flip);
        }
    ASSERT_EQ(found, 1);
  }
  EXPECT_EQ(tops.size(), 5u);
  EXPECT_EQ(lefts.size(), 11u);
  EXPECT_EQ(flips.size(), 2u);
}

TEST(VggTrain, TheShorterSideVaries) {
  // A horizontal ramp: its slope tells the scale.
  tf::Tensor image(tf::DT_FLOAT, {64, 128, 3});
  for (int y = 0; y < 64; ++y)
    for (int x = 0; x < 128; ++x)
      for (int c = 0; c < 3; ++c) image.tensor<float, 3>()(y, x, c) = x;
  Augmentation augment(get_data_augmentation_fn("resnet_v2_50", ModeKeys::TRAIN, 16, 16,
                                                {.resize_side_min = 64, .resize_side_max = 128}),
                       tf::DT_FLOAT, 3, 12);
  double least = 1e9, most = 0;
  for (int draw = 0; draw < 300; ++draw) {
    const tf::Tensor got = augment(image);
    const double slope = std::abs(got.tensor<float, 3>()(8, 9, 0) - got.tensor<float, 3>()(8, 8, 0));
    if (slope < 0.1) continue;  // the last column repeats
    least = std::min(least, 64 / slope);
    most = std::max(most, 64 / slope);
  }
  EXPECT_NEAR(least, 64, 3);
  EXPECT_NEAR(most, 128, 3);
}

TEST(CifarnetTrain, IsADistortedCropOfThePaddedImage) {
  const int side = 12, out = 12, padding = 4;
  const tf::Tensor image = distinct_image(side, side, 3);
  Augmentation augment(get_data_augmentation_fn("cifarnet", ModeKeys::TRAIN, out, out), tf::DT_UINT8, 3, 13);
  std::set<std::pair<int, int>> corners;
  for (int draw = 0; draw < 150; ++draw) {
    const tf::Tensor got = augment(image);
    // Brightness is a shift; contrast a scale around each channel's mean, so that only correlation a channel tells.
    int found = 0;
    for (int top = 0; top <= 2 * padding; ++top)
      for (int left = 0; left <= 2 * padding; ++left)
        for (int flip : {0, 1}) {
          double worst = 1;
          for (int c = 0; c < 3; ++c) {
            double a = 0, b = 0, aa = 0, bb = 0, ab = 0;
            for (int y = 0; y < out; ++y)
              for (int x = 0; x < out; ++x) {
                const double p = got.tensor<float, 3>()(y, flip ? out - 1 - x : x, c);
                const double q = source_pixel(image, padding, top + y, left + x, c);
                a += p, b += q, aa += p * p, bb += q * q, ab += p * q;
              }
            const double n = out * out;
            worst = std::min(worst, (ab - a * b / n) / std::sqrt((aa - a * a / n) * (bb - b * b / n)));
          }
          if (worst < 0.9999) continue;
          ++found;
          corners.insert({top, left});
        }
    ASSERT_EQ(found, 1);
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < got.NumElements(); ++i) {
      sum += got.flat<float>()(i);
      squares += std::pow(got.flat<float>()(i), 2);
    }
    EXPECT_NEAR(sum / got.NumElements(), 0, 1e-4);
    EXPECT_NEAR(squares / got.NumElements(), 1, 1e-3);
  }
  EXPECT_GT(corners.size(), 50u);  // of 81
}

TEST(CifarnetTrain, ACropThatDoesNotFitNamesTheSizes) {
  Augmentation augment(get_data_augmentation_fn("resnet_v1_20", ModeKeys::TRAIN), tf::DT_UINT8, 3, 14);
  EXPECT_NO_THROW(augment(distinct_image(24, 24, 3)));
  try {
    augment(distinct_image(20, 40, 3));
    FAIL();
  } catch (const std::runtime_error& e) {
    EXPECT_NE(std::string(e.what()).find("32x32 does not fit"), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("28"), std::string::npos) << e.what();
  }
}

// As make_expected.py computes them.
std::vector<double> features(const tf::Tensor& image) {
  const int height = image.dim_size(0), width = image.dim_size(1);
  const auto pixel = image.tensor<float, 3>();
  double sum = 0, squares = 0, spread = 0, rough = 0, red_blue = 0;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      float low = pixel(y, x, 0), high = low;
      for (int c = 0; c < 3; ++c) {
        const float value = pixel(y, x, c);
        sum += value;
        squares += static_cast<double>(value) * value;
        low = std::min(low, value);
        high = std::max(high, value);
        if (x > 0) rough += std::abs(value - pixel(y, x - 1, c));
      }
      spread += high - low;
      red_blue += pixel(y, x, 0) - pixel(y, x, 2);
    }
  const double pixels = height * width, values = 3 * pixels, mean = sum / values;
  return {mean, std::sqrt(squares / values - mean * mean), spread / pixels, rough / (3.0 * height * (width - 1)),
          red_blue / pixels};
}

TEST(InceptionTrain, HasTheReferencesDistribution) {
  ASSERT_EQ(testing::expected_images()["train"].size(), 4u);
  for (const auto& want : testing::expected_images()["train"]) {
    SCOPED_TRACE(want["photo"].get<std::string>() + (want["fast_mode"].get<bool>() ? " fast" : " full"));
    const tf::Tensor image = testing::photo(want["photo"]);
    Augmentation augment(
        get_data_augmentation_fn("inception_v3", ModeKeys::TRAIN, 48, 40, {.fast_mode = want["fast_mode"].get<bool>()}),
        tf::DT_UINT8, 3, 15);
    const int draws = want["draws"];
    std::vector<double> sums(5, 0), squares(5, 0);
    for (int draw = 0; draw < draws; ++draw) {
      const tf::Tensor got = augment(image);
      ASSERT_EQ(got.shape(), tf::TensorShape({48, 40, 3}));
      for (int64_t i = 0; i < got.NumElements(); ++i) ASSERT_LE(std::abs(got.flat<float>()(i)), 1.0001f);
      const auto values = features(got);
      for (int i = 0; i < 5; ++i) {
        sums[i] += values[i];
        squares[i] += values[i] * values[i];
      }
    }
    for (int i = 0; i < 5; ++i) {
      const double mean = sums[i] / draws, deviation = std::sqrt(squares[i] / draws - mean * mean);
      const double expected = want["deviations"][i];
      EXPECT_NEAR(mean, want["means"][i].get<double>(), 4 * std::hypot(deviation, expected) / std::sqrt(draws)) << i;
      // The deviation's own deviation is about 1/sqrt(2 n) for what is near to normal.
      EXPECT_NEAR(deviation / expected, 1, 0.2) << i;
    }
  }
}

TEST(InceptionTrain, GreyImagesKeepOneChannel) {
  // As Fashion-MNIST through mobilenet.
  for (bool fast : {true, false}) {
    Augmentation augment(get_data_augmentation_fn("mobilenet_v1_025", ModeKeys::TRAIN, 32, 32, {.fast_mode = fast}),
                         tf::DT_UINT8, 1, 16);
    EXPECT_EQ(augment.shape(), (std::vector<int64_t>{32, 32, 1}));
    EXPECT_EQ(augment(distinct_image(28, 28, 1)).shape(), tf::TensorShape({32, 32, 1}));
  }
}

TEST(Train, SeedsFixTheDrawsAndOnlySeedsDo) {
  const tf::Tensor image = testing::photo("fruits.jpg");
  for (const char* name : {"vgg_16", "pvanet", "inception_v3", "cifarnet"}) {
    const auto draws = [&](int64_t seed) {
      Augmentation augment(get_data_augmentation_fn(name, ModeKeys::TRAIN, 40, 40), tf::DT_UINT8, 3, seed);
      std::vector<std::string> results;
      for (int i = 0; i < 4; ++i) results.emplace_back(augment(image).tensor_data());
      return results;
    };
    const auto first = draws(21);
    EXPECT_EQ(first, draws(21)) << name;
    EXPECT_NE(first, draws(22)) << name;
    EXPECT_EQ(std::set<std::string>(first.begin(), first.end()).size(), 4u) << name;
  }
}

}  // namespace
}  // namespace mox
