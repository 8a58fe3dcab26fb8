// What somebody else registers, and registers wrongly. The right ones are built by tests/install.
#include <gtest/gtest.h>

#include "moxing/dataset_graph.h"
#include "moxing/error.h"
#include "moxing/nets.h"
#include "moxing/optimizer.h"
#include "moxing/preprocessing.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace mox {
namespace {

namespace ops = tensorflow::ops;
using tensorflow::Output;

std::string refusal(const std::function<void()>& call) {
  try {
    call();
  } catch (const InvalidArgumentError& e) {
    return e.what();
  }
  return "";
}

// build() forgets the second component.
class OneForAll : public Dataset {
 public:
  std::vector<std::string> keys() const override { return {"image", "label"}; }
  int64_t num_samples() const override { return 4; }
  std::vector<std::string> class_names() const override { return {}; }

 protected:
  Pipeline build(const Scope& scope, const std::vector<std::string>&) override {
    return {data::range(scope, int64_t{0}, int64_t{4}, 1)};
  }
};

TEST(Register, MistakesOfWhatWasRegisteredAreTold) {
  register_network("empty_network", {},
                   [](const Scope&, const Output&, const NetworkParams&) { return NetworkOutput(); });
  register_preprocessing("empty_image", 8,
                         [](const Scope&, const Output&, const PreprocessingRequest&) { return Output(); });
  register_optimizer("no_optimizer",
                     [](const Scope&, const LearningRate&, const OptimizerOptions&) { return nullptr; });
  const Scope s = Scope::new_root();
  const Output image = ops::Const(s, 0.5f, {8, 8, 3}), images = ops::Const(s, 0.5f, {1, 8, 8, 3});
  EXPECT_EQ(refusal([&] { get_model_fn("empty_network", ModeKeys::EVAL, 2)(s, images); }),
            "network empty_network: the function that builds it returned no logits");
  EXPECT_EQ(refusal([&] { get_data_augmentation_fn("empty_image", ModeKeys::EVAL)(s, image); }),
            "preprocessing of empty_image: the function that builds it returned no image");
  EXPECT_EQ(refusal([&] { get_optimizer_fn("no_optimizer", 0.1f)(s); }),
            "optimizer 'no_optimizer': the function that makes it returned none");
  EXPECT_EQ(
      refusal([&] {
        OneForAll().get(s, {"image", "label"});
      }),
      "the data set's build returned a pipeline of 1 components and 1 shapes, expected one of each for every key that "
      "it was asked for: image, label");
  EXPECT_EQ(OneForAll().get(s, {"label"}).size(), 1u);
}

TEST(Register, ANetworksPreprocessingIsTheOneThatItNames) {
  const auto build = [](const Scope&, const Output& images, const NetworkParams&) { return NetworkOutput{images, {}}; };
  register_network("like_vgg", {.default_image_size = 96, .default_preprocessing = "vgg"}, build);
  register_network("of_unknown", {.default_preprocessing = "unknown"}, build);
  register_network("of_none", {}, build);
  EXPECT_EQ(get_preprocessing_meta("like_vgg").family, "vgg_preprocessing");
  EXPECT_EQ(get_preprocessing_meta("like_vgg").default_image_size, 96);
  EXPECT_NE(refusal([] { get_preprocessing_meta("of_unknown"); }).find("the unknown preprocessing 'unknown'"),
            std::string::npos);
  EXPECT_NE(refusal([] { get_preprocessing_meta("of_none"); }).find("no default_preprocessing; name another one"),
            std::string::npos);
  const std::vector<std::string> names = preprocessing_names();
  EXPECT_NE(std::find(names.begin(), names.end(), "like_vgg"), names.end());
  EXPECT_EQ(std::find(names.begin(), names.end(), "of_none"), names.end());
  // The manual's size of this one is not the network's.
  EXPECT_EQ(get_preprocessing_meta("overfeat").default_image_size, 224);
}

TEST(Register, WhatCannotBeUsedIsRefused) {
  const auto open = [](const DatasetMeta&, const std::string&, const std::string&,
                       const DatasetOptions&) -> std::unique_ptr<Dataset> { return std::make_unique<OneForAll>(); };
  const auto add = [&](const DatasetMeta& meta) { return refusal([&] { register_dataset(meta, open); }); };
  EXPECT_NE(add({"d", {}, 2, {8, 8, 3}, {}}).find("splits_to_sizes is empty"), std::string::npos);
  EXPECT_NE(add({"d", {{"train", 4}}, 0, {8, 8, 3}, {}}).find("num_classes is 0, expected an integer from 1"),
            std::string::npos);
  EXPECT_NE(add({"d", {{"train", 4}}, 2, {8, 8}, {}}).find("image_shape has 2 numbers"), std::string::npos);
  EXPECT_NE(add({"mnist", {{"train", 4}}, 2, {8, 8, 3}, {}}).find("but there is one of MoXing already"),
            std::string::npos);
  EXPECT_EQ(add({"d", {{"train", 4}}, 2, {8, 8, 3}, {}}), "");
  EXPECT_NE(refusal([] { get_dataset("d", "test", "."); }).find("has no split 'test'; it has: train"),
            std::string::npos);
  EXPECT_EQ(get_dataset("d", "train", ".")->num_samples(), 4);
  EXPECT_NE(refusal([] { register_network("n", {}, nullptr); }).find("is empty"), std::string::npos);
  EXPECT_NE(refusal([] { register_optimizer("sgd", [](const auto&...) { return nullptr; }); }).find("one of MoXing"),
            std::string::npos);
}

}  // namespace
}  // namespace mox
