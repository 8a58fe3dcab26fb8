// EVAL of every family on photographs against an independent implementation: expected.json.
#include <gtest/gtest.h>

#include <cmath>

#include "moxing/error.h"
#include "preprocess/photo.h"

namespace mox {
namespace {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;
using testing::Augmentation;

TEST(FamiliesEval, EqualTheReferenceOnPhotographs) {
  ASSERT_GE(testing::expected_images()["eval"].size(), 24u);
  for (const auto& want : testing::expected_images()["eval"]) {
    const std::string network = want["network"];
    SCOPED_TRACE(want["photo"].get<std::string>() + " " + network);
    const bool is_float = want["float"];
    const bool unit = get_preprocessing_meta(network).family == "inception_preprocessing";
    tf::Tensor image = testing::photo(want["photo"]);
    if (is_float) image = testing::as_float(image, unit ? 1 / 255.f : 1.f);
    Augmentation augment(get_data_augmentation_fn(network, ModeKeys::EVAL, want["height"], want["width"]),
                         is_float ? tf::DT_FLOAT : tf::DT_UINT8);
    const tf::Tensor got = augment(image);
    ASSERT_EQ(got.shape(), tf::TensorShape({want["height"].get<int>(), want["width"].get<int>(), 3}));
    // Of values that go to 255 (vgg, pvanet) or about 1 (the others).
    const std::string family = get_preprocessing_meta(network).family;
    const bool vgg_like = family == "vgg_preprocessing" || family == "pvanet_preprocessing";
    const double tolerance = vgg_like ? 2e-4 : 1e-5;
    const auto flat = got.flat<float>();
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < flat.size(); ++i) {
      sum += flat(i);
      squares += static_cast<double>(flat(i)) * flat(i);
    }
    const double mean = sum / flat.size();
    EXPECT_NEAR(mean, want["mean"].get<double>(), tolerance);
    EXPECT_NEAR(std::sqrt(squares / flat.size() - mean * mean), want["deviation"].get<double>(), tolerance);
    for (size_t i = 0; i < want["sample"].size(); ++i)
      ASSERT_NEAR(flat((i * 7919 + 13) % flat.size()), want["sample"][i].get<double>(), tolerance) << i;
  }
}

TEST(FamiliesEval, EveryNetworkHasItsDefaultSize) {
  const tf::Tensor image = testing::photo("fruits.jpg");
  for (const std::string& name : preprocessing_names()) {
    const int64_t side = get_preprocessing_meta(name).default_image_size;
    Augmentation augment(get_data_augmentation_fn(name, ModeKeys::PREDICT), tf::DT_UINT8);
    EXPECT_EQ(augment.shape(), (std::vector<int64_t>{side, side, 3})) << name;
  }
  EXPECT_EQ(get_preprocessing_meta("inception_v3").default_image_size, 299);
  EXPECT_EQ(get_preprocessing_meta("mobilenet_v1_025").family, "inception_preprocessing");
  EXPECT_EQ(preprocessing_names().size(), 58u);  // 55 networks, and the families vgg, inception and torch
}

TEST(FamiliesEval, IsTheSameEveryTimeAndInEveryModeButTrain) {
  const tf::Tensor image = testing::photo("butterfly.jpg");
  for (const char* name : {"vgg_16", "pvanet", "inception_v1", "cifarnet", "lenet"}) {
    Augmentation eval(get_data_augmentation_fn(name, ModeKeys::EVAL, 64, 48), tf::DT_UINT8);
    Augmentation predict(get_data_augmentation_fn(name, ModeKeys::PREDICT, 64, 48), tf::DT_UINT8);
    Augmentation exported(get_data_augmentation_fn(name, ModeKeys::EXPORT, 64, 48), tf::DT_UINT8);
    const auto bytes = [](const tf::Tensor& tensor) { return std::string(tensor.tensor_data()); };
    const std::string first = bytes(eval(image));
    EXPECT_EQ(first, bytes(eval(image))) << name;
    EXPECT_EQ(first, bytes(predict(image))) << name;
    EXPECT_EQ(first, bytes(exported(image))) << name;
  }
}

TEST(FamiliesEval, AUniformImageHasNoDeviationToDivideBy) {
  tf::Tensor image(tf::DT_UINT8, {32, 32, 3});
  image.flat<uint8_t>().setConstant(77);
  const tf::Tensor got = Augmentation(get_data_augmentation_fn("cifarnet", ModeKeys::EVAL), tf::DT_UINT8)(image);
  for (int64_t i = 0; i < got.NumElements(); ++i) ASSERT_NEAR(got.flat<float>()(i), 0, 1e-3);
}

TEST(FamiliesEval, ALargerOutputThanTheUsualSideWorks) {
  const tf::Tensor image = testing::photo("fruits.jpg");
  Augmentation augment(get_data_augmentation_fn("resnet_v1_50", ModeKeys::EVAL, 320, 320), tf::DT_UINT8);
  EXPECT_EQ(augment(image).shape(), tf::TensorShape({320, 320, 3}));
  EXPECT_THROW(Augmentation(get_data_augmentation_fn("vgg_16", ModeKeys::EVAL, 224, 224, {.resize_side_min = 200}),
                            tf::DT_UINT8),
               InvalidArgumentError);
}

TEST(FamiliesEval, VggNeedsThreeChannelsAndSaysSo) {
  try {
    Augmentation(get_data_augmentation_fn("vgg_16", ModeKeys::EVAL), tf::DT_UINT8, 1);
    FAIL();
  } catch (const InvalidArgumentError& e) {
    EXPECT_NE(std::string(e.what()).find("has 1 channels, expected 3"), std::string::npos) << e.what();
  }
  // Where the number is known only when it runs, it fails then.
  Augmentation unknown(get_data_augmentation_fn("vgg_16", ModeKeys::EVAL), tf::DT_UINT8, -1);
  EXPECT_NO_THROW(unknown(testing::photo("fruits.jpg")));
  EXPECT_THROW(unknown(tf::Tensor(tf::DT_UINT8, {300, 300, 1})), std::runtime_error);
}

}  // namespace
}  // namespace mox
