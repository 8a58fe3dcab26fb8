// The options that are the same for all families, and batches of mixed images: their arithmetic.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "moxing/error.h"
#include "preprocess/photo.h"
#include "preprocess/randaugment.h"

namespace mox {
namespace {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;
using testing::Augmentation;
using testing::GraphRun;
using tf::Output;

constexpr int kHeight = 12, kWidth = 10;

// Whole numbers from 0 to 255.
tf::Tensor picture(int channels = 3) {
  tf::Tensor image(tf::DT_FLOAT, {kHeight, kWidth, channels});
  for (int64_t i = 0; i < image.NumElements(); ++i)
    image.flat<float>()(i) = static_cast<float>((i * 37 + i / 7 * 11) % 231 + 20);
  return image;
}

float pixel(const tf::Tensor& image, int y, int x, int c) { return image.tensor<float, 3>()(y, x, c); }

// What a change of RandAugment makes of picture().
tf::Tensor changed(const std::string& name, float level, float sign, int channels = 3) {
  Scope scope = Scope::new_root();
  const Output image = ops::Const(scope, tf::Input::Initializer(picture(channels)));
  const Output result = preprocess::randaugment_change(scope, image, name, level, ops::Const(scope, sign));
  return GraphRun(scope).fetch({result}).at(0);
}

using Formula = std::function<float(const tf::Tensor& image, int y, int x, int c)>;

void expect_picture(const tf::Tensor& found, const tf::Tensor& source, const Formula& formula,
                    const std::string& what) {
  ASSERT_EQ(found.shape(), source.shape()) << what;
  for (int y = 0; y < kHeight; ++y)
    for (int x = 0; x < kWidth; ++x)
      for (int c = 0; c < source.dim_size(2); ++c)
        ASSERT_NEAR(pixel(found, y, x, c), formula(source, y, x, c), 2e-3)
            << what << " at " << y << "," << x << "," << c;
}

float clipped(float value) { return std::clamp(value, 0.f, 255.f); }
float grey(const tf::Tensor& i, int y, int x) {
  return 0.299f * pixel(i, y, x, 0) + 0.587f * pixel(i, y, x, 1) + 0.114f * pixel(i, y, x, 2);
}
float mean_grey(const tf::Tensor& i) {
  float sum = 0;
  for (int y = 0; y < kHeight; ++y)
    for (int x = 0; x < kWidth; ++x) sum += grey(i, y, x);
  return sum / (kHeight * kWidth);
}

// Bilinear at (v, u) of the image, 128 outside of it.
float sampled(const tf::Tensor& i, float v, float u, int c) {
  const auto at = [&](int y, int x) {
    return y < 0 || x < 0 || y >= kHeight || x >= kWidth ? 128.f : pixel(i, y, x, c);
  };
  const int y = static_cast<int>(std::floor(v)), x = static_cast<int>(std::floor(u));
  const float b = v - static_cast<float>(y), a = u - static_cast<float>(x);
  return (1 - b) * ((1 - a) * at(y, x) + a * at(y, x + 1)) + b * ((1 - a) * at(y + 1, x) + a * at(y + 1, x + 1));
}

TEST(RandAugment, ColoursFollowTheirFormulas) {
  const tf::Tensor source = picture();
  for (const float sign : {-1.f, 1.f}) {
    const float f = 1 + sign * 0.9f * 0.5f;
    expect_picture(
        changed("Brightness", 0.5f, sign), source,
        [f](const auto& i, int y, int x, int c) { return clipped(f * pixel(i, y, x, c)); }, "Brightness");
    expect_picture(
        changed("Color", 0.5f, sign), source,
        [f](const auto& i, int y, int x, int c) { return clipped(f * pixel(i, y, x, c) + (1 - f) * grey(i, y, x)); },
        "Color");
    const float middle = mean_grey(source);
    expect_picture(
        changed("Contrast", 0.5f, sign), source,
        [f, middle](const auto& i, int y, int x, int c) { return clipped(f * pixel(i, y, x, c) + (1 - f) * middle); },
        "Contrast");
    expect_picture(
        changed("Sharpness", 0.5f, sign), source,
        [f](const auto& i, int y, int x, int c) {
          if (y == 0 || x == 0 || y == kHeight - 1 || x == kWidth - 1) return pixel(i, y, x, c);
          float sum = 4 * pixel(i, y, x, c);
          for (int dy = -1; dy <= 1; ++dy)
            for (int dx = -1; dx <= 1; ++dx) sum += pixel(i, y + dy, x + dx, c);
          return clipped(f * pixel(i, y, x, c) + (1 - f) * sum / 13);
        },
        "Sharpness");
  }
  expect_picture(
      changed("Identity", 1, 1), source, [](const auto& i, int y, int x, int c) { return pixel(i, y, x, c); },
      "Identity");
  expect_picture(
      changed("Solarize", 0.5f, 1), source,
      [](const auto& i, int y, int x, int c) {
        const float p = pixel(i, y, x, c);
        return p >= 127.5f ? 255 - p : p;
      },
      "Solarize");
  expect_picture(
      changed("Posterize", 0.5f, 1), source,
      [](const auto& i, int y, int x, int c) {
        return static_cast<float>(static_cast<int>(pixel(i, y, x, c)) & ~3);  // 6 bits
      },
      "Posterize");
}

TEST(RandAugment, AutoContrastAndEqualizeAreThoseOfPil) {
  const tf::Tensor source = picture();
  std::map<int, std::vector<int>> values;  // of a channel
  for (int c = 0; c < 3; ++c)
    for (int y = 0; y < kHeight; ++y)
      for (int x = 0; x < kWidth; ++x) values[c].push_back(static_cast<int>(pixel(source, y, x, c)));
  for (auto& [c, all] : values) std::sort(all.begin(), all.end());
  expect_picture(
      changed("AutoContrast", 0.3f, 1), source,
      [&](const auto& i, int y, int x, int c) {
        const auto low = static_cast<float>(values[c].front()), high = static_cast<float>(values[c].back());
        return (pixel(i, y, x, c) - low) * 255 / (high - low);
      },
      "AutoContrast");
  // 120 pixels: PIL's step would be 0, and the image stays.
  expect_picture(
      changed("Equalize", 0.3f, 1), source, [](const auto& i, int y, int x, int c) { return pixel(i, y, x, c); },
      "Equalize");
  // An image of 600 pixels and 20 values.
  tf::Tensor large(tf::DT_FLOAT, {30, 20, 1});
  for (int i = 0; i < 600; ++i) large.flat<float>()(i) = static_cast<float>(i * i % 20 * 5);
  Scope scope = Scope::new_root();
  const Output result = preprocess::randaugment_change(scope, ops::Const(scope, tf::Input::Initializer(large)),
                                                       "Equalize", 1, ops::Const(scope, 1.f));
  const tf::Tensor found = GraphRun(scope).fetch({result}).at(0);
  std::vector<int> counts(256);
  for (int i = 0; i < 600; ++i) ++counts[static_cast<int>(large.flat<float>()(i))];
  int last = 255;
  while (counts[last] == 0) --last;
  const int step = (600 - counts[last]) / 255;
  ASSERT_GT(step, 0);
  for (int i = 0; i < 600; ++i) {
    int before = step / 2;
    for (int v = 0; v < static_cast<int>(large.flat<float>()(i)); ++v) before += counts[v];
    ASSERT_EQ(found.flat<float>()(i), static_cast<float>(std::min(255, before / step)));
  }
}

TEST(RandAugment, ShapesFollowTheirFormulas) {
  const tf::Tensor source = picture();
  for (const float sign : {-1.f, 1.f}) {
    const float shear = sign * 0.3f * 0.5f;
    const float right = sign * std::floor(150.f / 331 * 0.5f * kWidth),
                down = sign * std::floor(150.f / 331 * 0.5f * kHeight);
    const auto moved = [&](const char* name, auto v, auto u) {
      expect_picture(
          changed(name, 0.5f, sign), source,
          [&](const auto& i, int y, int x, int c) {
            return sampled(i, v(static_cast<float>(y), static_cast<float>(x)),
                           u(static_cast<float>(y), static_cast<float>(x)), c);
          },
          name);
    };
    const auto same_y = [](float y, float) { return y; };
    const auto same_x = [](float, float x) { return x; };
    moved("ShearX", same_y, [&](float y, float x) { return x + shear * y; });
    moved(
        "ShearY", [&](float y, float x) { return y + shear * x; }, same_x);
    moved("TranslateX", same_y, [&](float, float x) { return x + right; });
    moved(
        "TranslateY", [&](float y, float) { return y + down; }, same_x);
    const float angle = sign * 15 * std::acos(-1.f) / 180, cy = (kHeight - 1) / 2.f, cx = (kWidth - 1) / 2.f;
    moved(
        "Rotate", [&](float y, float x) { return cy + std::sin(angle) * (x - cx) + std::cos(angle) * (y - cy); },
        [&](float y, float x) { return cx + std::cos(angle) * (x - cx) - std::sin(angle) * (y - cy); });
  }
}

TEST(RandAugment, EveryChangeWorksOnGreyImages) {
  for (const std::string& name : preprocess::randaugment_changes()) {
    const tf::Tensor found = changed(name, 0.3f, -1, 1);
    ASSERT_EQ(found.shape(), picture(1).shape()) << name;
    for (int64_t i = 0; i < found.NumElements(); ++i)
      ASSERT_TRUE(found.flat<float>()(i) >= 0 && found.flat<float>()(i) <= 255) << name;
  }
}

tf::Tensor bytes(int height, int width) {
  tf::Tensor image(tf::DT_UINT8, {height, width, 3});
  for (int64_t i = 0; i < image.NumElements(); ++i) image.flat<uint8_t>()(i) = (i * 37 + i / 7 * 11) % 251;
  return image;
}

const float kMean[] = {123.68f, 116.78f, 103.94f};

// vgg without a change of size: what comes out is the image, by rows and columns.
AugmentationOptions plain(int side) {
  AugmentationOptions options;
  options.resize_side_min = options.resize_side_max = side;
  return options;
}

TEST(Recipe, FlipsAreAsOftenAsTheyAreAskedFor) {
  constexpr int kSide = 8, kDraws = 400;
  const tf::Tensor image = bytes(kSide, kSide);
  AugmentationOptions options = plain(kSide);
  options.hflip = 0.25f;
  options.vflip = 0.75f;
  Augmentation augment(get_data_augmentation_fn("vgg_16", ModeKeys::TRAIN, kSide, kSide, options), tf::DT_UINT8, 3, 5);
  int across = 0, down = 0;
  for (int i = 0; i < kDraws; ++i) {
    const tf::Tensor found = augment(image);
    bool known = false;
    for (const int h : {0, 1})
      for (const int v : {0, 1}) {
        bool same = true;
        for (int y = 0; y < kSide && same; ++y)
          for (int x = 0; x < kSide && same; ++x)
            same = std::abs(pixel(found, v ? kSide - 1 - y : y, h ? kSide - 1 - x : x, 1) + kMean[1] -
                            image.tensor<uint8_t, 3>()(y, x, 1)) < 1e-3;
        if (!same) continue;
        known = true;
        across += h;
        down += v;
      }
    ASSERT_TRUE(known);
  }
  EXPECT_NEAR(across / double{kDraws}, 0.25, 0.08);
  EXPECT_NEAR(down / double{kDraws}, 0.75, 0.08);
}

TEST(Recipe, NoneIsTheEvaluation) {
  const tf::Tensor image = bytes(30, 40);
  for (const char* name : {"vgg_16", "inception_v3", "cifarnet", "lenet"}) {
    AugmentationOptions none;
    none.augment = "none";
    Augmentation train(get_data_augmentation_fn(name, ModeKeys::TRAIN, 24, 24, none), tf::DT_UINT8);
    Augmentation eval(get_data_augmentation_fn(name, ModeKeys::EVAL, 24, 24), tf::DT_UINT8);
    const tf::Tensor a = train(image), b = eval(image);
    for (int64_t i = 0; i < a.NumElements(); ++i) ASSERT_EQ(a.flat<float>()(i), b.flat<float>()(i)) << name;
  }
}

TEST(Recipe, ACropHasItsPartOfTheArea) {
  // Each pixel tells where it is from.
  constexpr int kSide = 200;
  tf::Tensor image(tf::DT_UINT8, {kSide, kSide, 3});
  for (int y = 0; y < kSide; ++y)
    for (int x = 0; x < kSide; ++x) {
      image.tensor<uint8_t, 3>()(y, x, 0) = y;
      image.tensor<uint8_t, 3>()(y, x, 1) = x;
      image.tensor<uint8_t, 3>()(y, x, 2) = 0;
    }
  AugmentationOptions options;
  options.crop_scale = {0.2f, 0.4f};
  options.hflip = 0.f;
  Augmentation augment(get_data_augmentation_fn("vgg_16", ModeKeys::TRAIN, 50, 50, options), tf::DT_UINT8, 3, 5);
  for (int i = 0; i < 50; ++i) {
    const tf::Tensor found = augment(image);
    // The last of 50 pixels lies 49/50 of the box after the first.
    const float height = (pixel(found, 49, 0, 0) - pixel(found, 0, 0, 0)) * 50 / 49;
    const float width = (pixel(found, 0, 49, 1) - pixel(found, 0, 0, 1)) * 50 / 49;
    EXPECT_GT(height * width, 0.2f * kSide * kSide * 0.95f);
    EXPECT_LT(height * width, 0.4f * kSide * kSide * 1.05f);
    EXPECT_GT(width / height, 0.75f * 0.95f);
    EXPECT_LT(width / height, 4 / 3.f * 1.05f);
  }
}

TEST(Recipe, AnErasedBoxHasItsSizeAndIsZero) {
  constexpr int kSide = 40;
  AugmentationOptions options;
  options.random_erasing = 0.5f;
  options.augment = "default";
  options.hflip = 0.f;
  Augmentation augment(get_data_augmentation_fn("lenet", ModeKeys::TRAIN, kSide, kSide, options), tf::DT_UINT8, 3, 5);
  tf::Tensor image(tf::DT_UINT8, {kSide, kSide, 3});
  image.flat<uint8_t>().setConstant(255);
  int erased = 0;
  std::set<std::pair<int, int>> corners;
  for (int draw = 0; draw < 200; ++draw) {
    const tf::Tensor found = augment(image);
    int top = kSide, left = kSide, bottom = -1, right = -1, count = 0;
    for (int y = 0; y < kSide; ++y)
      for (int x = 0; x < kSide; ++x) {
        if (pixel(found, y, x, 0) != 0) {
          EXPECT_NEAR(pixel(found, y, x, 0), 127 / 128.f, 1e-6);
          continue;
        }
        ++count;
        top = std::min(top, y), left = std::min(left, x), bottom = std::max(bottom, y), right = std::max(right, x);
      }
    if (count == 0) continue;
    ++erased;
    corners.emplace(top, left);
    EXPECT_EQ(count, (bottom - top + 1) * (right - left + 1)) << "no box";
    EXPECT_GT(count, 0.02 * kSide * kSide * 0.7);
    EXPECT_LT(count, 0.33 * kSide * kSide * 1.2);
  }
  EXPECT_NEAR(erased / 200.0, 0.5, 0.12);
  EXPECT_GT(corners.size(), 60u);
}

TEST(Recipe, JitterStaysInItsRange) {
  tf::Tensor image(tf::DT_UINT8, {8, 8, 3});
  image.flat<uint8_t>().setConstant(100);
  AugmentationOptions options = plain(8);
  options.color_jitter = {0.3f, 0, 0};
  Augmentation augment(get_data_augmentation_fn("vgg_16", ModeKeys::TRAIN, 8, 8, options), tf::DT_UINT8, 3, 5);
  float least = 1e9f, most = 0;
  for (int i = 0; i < 200; ++i) {
    const float value = pixel(augment(image), 3, 3, 0) + kMean[0];
    least = std::min(least, value);
    most = std::max(most, value);
  }
  EXPECT_NEAR(least, 70, 2);
  EXPECT_NEAR(most, 130, 2);
}

TEST(Recipe, WorksForEveryFamily) {
  for (const char* name : {"vgg_16", "pvanet", "inception_v3", "cifarnet", "lenet"})
    for (const char* augment : {"default", "randaugment"}) {
      AugmentationOptions options;
      options.augment = augment;
      options.crop_scale = {0.5f};
      options.vflip = 0.5f;
      options.random_erasing = 0.5f;
      if (std::string(augment) == "default") options.color_jitter = {0.4f, 0.4f, 0.4f, 0.1f};
      Augmentation train(get_data_augmentation_fn(name, ModeKeys::TRAIN, 32, 24, options), tf::DT_UINT8, 3, 5);
      EXPECT_EQ(train.shape(), (std::vector<int64_t>{32, 24, 3})) << name;
      std::set<float> seen;
      for (int i = 0; i < 10; ++i) {
        const tf::Tensor found = train(bytes(40, 50));
        for (int64_t k = 0; k < found.NumElements(); ++k) ASSERT_TRUE(std::isfinite(found.flat<float>()(k)));
        seen.insert(found.flat<float>()(333));
      }
      EXPECT_GT(seen.size(), 4u) << name;
    }
}

TEST(Recipe, WhatDoesNotFitIsTold) {
  const auto told = [](const std::function<void(AugmentationOptions*)>& change) -> std::string {
    AugmentationOptions options;
    change(&options);
    try {
      get_data_augmentation_fn("vgg_16", ModeKeys::TRAIN, 32, 32, options);
    } catch (const InvalidArgumentError& e) {
      return e.what();
    }
    return "";
  };
  using O = AugmentationOptions*;
  EXPECT_NE(told([](O o) { o->augment = "much"; }).find("expected default, none or randaugment"), std::string::npos);
  EXPECT_NE(told([](O o) { o->crop_scale = {0.5f, 0.2f}; }).find("the least part before"), std::string::npos);
  EXPECT_NE(told([](O o) { o->crop_scale = {0}; }).find("above 0 to 1"), std::string::npos);
  EXPECT_NE(told([](O o) { o->color_jitter = {1, 2}; }).find("color_jitter has 2 numbers"), std::string::npos);
  EXPECT_NE(told([](O o) { o->color_jitter = {0, 0, 0, 0.7f}; }).find("hue"), std::string::npos);
  EXPECT_NE(told([](O o) { o->hflip = 2.f; }).find("hflip is 2"), std::string::npos);
  EXPECT_NE(told([](O o) { o->random_erasing = -1; }).find("random_erasing is -1"), std::string::npos);
  EXPECT_NE(told([](O o) { o->augment = "none", o->vflip = 0.5f; }).find("vflip is given"), std::string::npos);
  EXPECT_NE(told([](O o) { o->augment = "randaugment", o->color_jitter = {0.4f}; }).find("leave one out"),
            std::string::npos);
}

}  // namespace
}  // namespace mox
