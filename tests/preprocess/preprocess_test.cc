#include <gtest/gtest.h>

#include "moxing/error.h"
#include "moxing/preprocessing.h"
#include "optim/graph_run.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace mox {
namespace {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;
using testing::GraphRun;

tf::Tensor ramp_image(int height, int width, int channels) {
  tf::Tensor image(tf::DT_UINT8, {height, width, channels});
  for (int i = 0; i < image.NumElements(); ++i) image.flat<uint8_t>()(i) = i % 251;
  return image;
}

TEST(Lenet, CropsAndPadsAroundTheCentre) {
  // Odd differences: tf.image.resize_image_with_crop_or_pad puts the smaller half first.
  Scope scope = Scope::new_root();
  const tf::Tensor image = ramp_image(33, 25, 1);
  const tf::Output placeholder = ops::Placeholder(scope, tf::DT_UINT8);
  const tf::Output result = get_data_augmentation_fn("lenet", ModeKeys::EVAL)(scope, placeholder);
  GraphRun run(scope);
  run.feed(placeholder, image);
  const tf::Tensor got = run.fetch({result})[0];
  ASSERT_EQ(got.shape(), tf::TensorShape({28, 28, 1}));
  for (int y = 0; y < 28; ++y)
    for (int x = 0; x < 28; ++x) {
      const int from_x = x - 1;
      const float pixel = from_x < 0 || from_x >= 25 ? 0 : image.tensor<uint8_t, 3>()(y + 2, from_x, 0);
      ASSERT_EQ((got.tensor<float, 3>()(y, x, 0)), (pixel - 128) / 128) << y << "," << x;
    }
}

TEST(Lenet, TheStaticShapeIsKnown) {
  Scope scope = Scope::new_root();
  const tf::Output image = ops::Placeholder(scope, tf::DT_UINT8, ops::Placeholder::Shape({-1, -1, 3}));
  EXPECT_EQ(static_shape(scope, get_data_augmentation_fn("lenet", ModeKeys::TRAIN, 20, 30)(scope, image)),
            (std::vector<int64_t>{20, 30, 3}));
}

TEST(Preprocessing, AnUnknownNetworkListsTheKnownOnes) {
  try {
    get_data_augmentation_fn("lenet5", ModeKeys::TRAIN);
    FAIL();
  } catch (const InvalidArgumentError& e) {
    EXPECT_NE(std::string(e.what()).find("'lenet5'"), std::string::npos) << e.what();
    for (const std::string& name : preprocessing_names())
      EXPECT_NE(std::string(e.what()).find(name), std::string::npos) << e.what();
  }
}

TEST(Preprocessing, ABatchOrAWrongTypeIsAnError) {
  Scope scope = Scope::new_root();
  const auto fn = get_data_augmentation_fn("lenet", ModeKeys::EVAL);
  const tf::Output batch = ops::Placeholder(scope, tf::DT_UINT8, ops::Placeholder::Shape({8, 28, 28, 1}));
  EXPECT_THROW(fn(scope, batch), InvalidArgumentError);
  EXPECT_THROW(fn(scope, ops::Placeholder(scope, tf::DT_STRING)), InvalidArgumentError);
  EXPECT_THROW(get_data_augmentation_fn("lenet", ModeKeys::EVAL, -1), InvalidArgumentError);
}

}  // namespace
}  // namespace mox
