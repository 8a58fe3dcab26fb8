#include "engine/recipe_flags.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/limits.h"
#include "base/printable.h"
#include "engine/number_list.h"
#include "moxing/error.h"
#include "moxing/log.h"

namespace mox::cli {
namespace {

constexpr char kBalanced[] = "balanced";
constexpr float kMostAlpha = 1000;

std::vector<float> class_weights(const std::string& text, int64_t num_classes) {
  if (text.find_first_not_of("0123456789.,eE+- ") != std::string::npos)
    throw InvalidArgumentError(
        fmt::format("--class_weights has '{}', expected balanced, or a number a class with ',' between", text));
  const std::vector<float> weights = floats_of("--class_weights", text);
  if (static_cast<int64_t>(weights.size()) != num_classes)
    throw InvalidArgumentError(fmt::format(
        "--class_weights has {} numbers, and the network {} classes; expected balanced, or a number a class, in the "
        "order of the labels",
        weights.size(), num_classes));
  double sum = 0;
  for (const float weight : weights) {
    check_number("--class_weights", weight, 0, 1e6);
    sum += weight;
  }
  if (sum == 0) throw InvalidArgumentError("--class_weights are all 0: nothing would be trained");
  return weights;
}

}  // namespace

void add_sample_flags(CommandLine& app, RecipeFlags* f) {
  app.option("--augment", f->augment,
             "of the training's images: default, the network's own; none, as in an evaluation; randaugment, two random "
             "changes of colour and shape in place of the colours")
      .one_of({"default", "none", "randaugment"})
      .show_default();
  app.option("--crop_scale", f->crop_scale,
             "MIN or MIN,MAX: a random box of that part of the area, 3:4 to 4:3, in place of the network's own cut");
  app.option("--color_jitter", f->color_jitter,
             "X: brightness, contrast and saturation times 1-X to 1+X; B,C,S or B,C,S,HUE: each its own");
  app.number("--hflip", f->hflip, {0, 1}, "probability of a mirror image; default: the network's own, often 0.5");
  app.number("--vflip", f->vflip, {0, 1}, "probability of an image upside down").show_default();
  app.number("--random_erasing", f->random_erasing, {0, 1}, "probability of a box without content").show_default();
  app.number("--mixup", f->mix.mixup, {0, kMostAlpha}, "images are mixed in pairs, by Beta(X, X), e.g. 0.2; 0: off")
      .show_default();
  app.number("--cutmix", f->mix.cutmix, {0, kMostAlpha},
             "a box of another image is pasted, its area by Beta(X, X), e.g. 1; 0: off")
      .show_default();
}

void add_recipe_flags(CommandLine& app, RecipeFlags* f) {
  add_sample_flags(app, f);
  app.option("--class_weights", f->class_weights,
             "balanced: samples of rare classes count more, by the data's counts; or a number a class");
}

void take_sample_flags(CommandLine& app, RecipeFlags* f) {
  AugmentationOptions& augmentation = f->recipe.augmentation;
  augmentation.augment = f->augment;
  augmentation.crop_scale = floats_of("--crop_scale", f->crop_scale);
  augmentation.color_jitter = floats_of("--color_jitter", f->color_jitter);
  if (app.get("--hflip").given()) augmentation.hflip = f->hflip;
  augmentation.vflip = f->vflip;
  augmentation.random_erasing = f->random_erasing;
  f->recipe.mix = f->mix;
}

void take_recipe_flags(CommandLine& app, const ClassifierConfig& config, int64_t batch_size, RecipeFlags* f) {
  take_sample_flags(app, f);
  // Raises for options that do not fit.
  get_data_augmentation_fn(preprocessing_of(config), ModeKeys::TRAIN, config.image_size, config.image_size,
                           f->recipe.augmentation);
  if ((f->mix.mixup > 0 || f->mix.cutmix > 0) && batch_size < 2)
    throw InvalidArgumentError(fmt::format(
        "--mixup and --cutmix mix the images of a batch, and --batch_size is {}: expected 2 or more", batch_size));
  f->balanced = f->class_weights == kBalanced;
  if (!f->balanced && !f->class_weights.empty())
    f->recipe.class_weights = class_weights(f->class_weights, config.num_classes);
}

std::vector<float> balanced_weights(const ClassifierData::ClassCounts& classes) {
  const std::vector<int64_t>& counts = classes.counts;
  const std::vector<std::string>& names = classes.names;
  const std::vector<float> weights = losses::balanced_class_weights(counts);
  std::vector<size_t> order;
  for (size_t i = 0; i < counts.size(); ++i)
    if (counts[i] > 0) order.push_back(i);
  const auto [most, least] =
      std::minmax_element(order.begin(), order.end(), [&](size_t a, size_t b) { return weights[a] < weights[b]; });
  const auto told = [&](size_t i) {
    return fmt::format("{} ({} samples) {:.3g}", i < names.size() ? printable_name(names[i]) : std::to_string(i),
                       counts[i], weights[i]);
  };
  log_info(fmt::format(
      "class_weights balanced, from {} to {}{}", told(*most), told(*least),
      order.size() < counts.size() ? fmt::format("; {} classes have no sample", counts.size() - order.size()) : ""));
  return weights;
}

nlohmann::ordered_json recipe_json(const RecipeFlags& f) {
  nlohmann::ordered_json j = nlohmann::ordered_json::object();
  const auto note = [&](const char* name, const auto& value, const auto& by_default) {
    if (value != by_default) j[name] = value;
  };
  note("augment", f.augment, std::string("default"));
  note("crop_scale", f.crop_scale, std::string());
  note("color_jitter", f.color_jitter, std::string());
  if (f.recipe.augmentation.hflip) j["hflip"] = f.hflip;
  note("vflip", f.vflip, 0.f);
  note("random_erasing", f.random_erasing, 0.f);
  note("mixup", f.mix.mixup, 0.f);
  note("cutmix", f.mix.cutmix, 0.f);
  note("class_weights", f.class_weights, std::string());
  return j;
}

}  // namespace mox::cli
