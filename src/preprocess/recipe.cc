#include "preprocess/recipe.h"

#include <fmt/format.h>

#include <cmath>

#include "base/limits.h"
#include "moxing/error.h"
#include "preprocess/color.h"
#include "preprocess/image_ops.h"
#include "preprocess/randaugment.h"
#include "tensorflow/cc/ops/control_flow_ops.h"
#include "tensorflow/cc/ops/image_ops.h"

namespace mox::preprocess {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

namespace {

constexpr int kRandAugmentOps = 2;
constexpr float kRandAugmentLevel = 9.f / 30;
constexpr float kErasedArea[] = {0.02f, 0.33f}, kErasedAspect[] = {0.3f, 3.3f};

// What changes the images before they become the network's values.
bool changes_parts(const AugmentationOptions& o) {
  return o.augment == "randaugment" || !o.crop_scale.empty() || o.hflip || o.vflip > 0 || !o.color_jitter.empty();
}

void check_crop_scale(const AugmentationOptions& o) {
  const auto& scale = o.crop_scale;
  if (scale.size() > 2)
    throw InvalidArgumentError(fmt::format(
        "crop_scale has {} numbers, expected the least part of the area, or the least and the largest", scale.size()));
  for (const float part : scale)
    if (!(part > 0 && part <= 1))
      throw InvalidArgumentError(fmt::format("crop_scale has {:g}, expected parts of the area, above 0 to 1", part));
  if (scale.size() == 2 && scale[0] > scale[1])
    throw InvalidArgumentError(
        fmt::format("crop_scale is {:g},{:g}, expected the least part before the largest", scale[0], scale[1]));
}

void check_color_jitter(const AugmentationOptions& o) {
  const auto& jitter = o.color_jitter;
  if (!jitter.empty() && jitter.size() != 1 && jitter.size() != 3 && jitter.size() != 4)
    throw InvalidArgumentError(fmt::format(
        "color_jitter has {} numbers, expected one, three (brightness, contrast, saturation) or four (and hue)",
        jitter.size()));
  for (size_t i = 0; i < jitter.size(); ++i)
    check_number(i == 3 ? "color_jitter's hue" : "color_jitter", jitter[i], 0, i == 3 ? 0.5 : 1e3);
}

void reject_without_augment(const AugmentationOptions& o) {
  const char* given = !o.crop_scale.empty()     ? "crop_scale"
                      : o.hflip                 ? "hflip"
                      : o.vflip > 0             ? "vflip"
                      : !o.color_jitter.empty() ? "color_jitter"
                      : o.random_erasing > 0    ? "random_erasing"
                                                : nullptr;
  if (given)
    throw InvalidArgumentError(
        fmt::format("augment is none, and {} is given: leave one out; none trains on the images of EVAL", given));
}

Output resized_random_box(const Scope& scope, const Output& image, const Request& request, const Parts& parts) {
  const auto& scale = request.options.crop_scale;
  const Box box = random_box(scope, image, {{scale[0], scale.size() > 1 ? scale[1] : 1.f}, {3.f / 4, 4.f / 3}, 0.f});
  const int channels = static_channels(scope, image);
  Output cut = ops::Slice(scope, image, box.begin, box.size);
  if (channels >= 0) cut = ops::EnsureShape(scope, cut, tf::PartialTensorShape({-1, -1, channels}));
  const Output resized =
      ops::ResizeBilinear(scope, ops::ExpandDims(scope, cut, 0), ops::Const(scope, {request.height, request.width}));
  const Output squeezed = ops::Squeeze(scope, resized, ops::Squeeze::Axis({0}));
  return image.type() == tf::DT_UINT8 || parts.float_factor == 1
             ? squeezed
             : Output(ops::Multiply(scope, squeezed, parts.float_factor));
}

Output random_flip(const Scope& scope, const Output& image, float probability, int axis) {
  if (probability <= 0) return image;
  const ops::Switch branch(scope, image, ops::Less(scope, random_float(scope, 0, 1), probability));
  return ops::Merge(scope, {Output(ops::Identity(scope, branch.output_false)),
                            Output(ops::Reverse(scope, branch.output_true, {axis}))})
      .output;
}

Output factor(const Scope& scope, float width) { return random_float(scope, std::max(0.f, 1 - width), 1 + width); }

Output jittered(const Scope& scope, const Output& image, const std::vector<float>& jitter) {
  const float contrast = jitter.size() > 1 ? jitter[1] : jitter[0];
  const float saturation = jitter.size() > 2 ? jitter[2] : jitter[0];
  Output result = image;
  if (jitter[0] > 0) result = adjust_brightness(scope, result, factor(scope, jitter[0]));
  if (contrast > 0) result = adjust_contrast(scope, result, factor(scope, contrast));
  if (saturation > 0) result = adjust_saturation(scope, result, factor(scope, saturation));
  if (jitter.size() > 3 && jitter[3] > 0)
    result = adjust_hue(scope, result, random_float(scope, -jitter[3], jitter[3]));
  return result;
}

// [low, high): a place of `length` pixels anywhere within `side`; floats.
std::pair<Output, Output> random_span(const Scope& scope, const Output& length, int side) {
  const Output whole = ops::Round(scope, ops::Minimum(scope, length, static_cast<float>(side)));
  const Output rest = ops::Subtract(scope, static_cast<float>(side) + 1.f, whole);
  const Output low = ops::Floor(scope, ops::Multiply(scope, random_float(scope, 0, 1), rest));
  return {low, ops::Add(scope, low, whole)};
}

// bool [side]: within the span?
Output within(const Scope& scope, const std::pair<Output, Output>& span, int side) {
  const Output places = ops::Range(scope, 0.f, static_cast<float>(side), 1.f);
  return ops::LogicalAnd(scope, ops::GreaterEqual(scope, places, span.first), ops::Less(scope, places, span.second));
}

Output erased(const Scope& scope, const Output& image, const Request& request) {
  const auto area_of_all = static_cast<float>(request.height) * static_cast<float>(request.width);
  const Output area = random_float(scope, kErasedArea[0] * area_of_all, kErasedArea[1] * area_of_all);
  const Output aspect = ops::Exp(scope, random_float(scope, std::log(kErasedAspect[0]), std::log(kErasedAspect[1])));
  const auto rows = random_span(scope, ops::Sqrt(scope, ops::Multiply(scope, area, aspect)), request.height);
  const auto columns = random_span(scope, ops::Sqrt(scope, ops::Div(scope, area, aspect)), request.width);
  const Output chosen = ops::Less(scope, random_float(scope, 0, 1), request.options.random_erasing);
  const Output box = ops::LogicalAnd(scope, ops::Reshape(scope, within(scope, rows, request.height), {-1, 1, 1}),
                                     ops::Reshape(scope, within(scope, columns, request.width), {1, -1, 1}));
  return ops::SelectV2(scope, ops::LogicalAnd(scope, box, chosen), ops::Const(scope, 0.f), image);
}

Output made_of_parts(const Scope& scope, const Output& image, const Request& request, const Parts& parts) {
  const AugmentationOptions& o = request.options;
  Output result =
      o.crop_scale.empty() ? parts.cut(scope, image, request) : resized_random_box(scope, image, request, parts);
  result = random_flip(scope, result, o.hflip.value_or(parts.hflip), 1);
  result = random_flip(scope, result, o.vflip, 0);
  if (o.augment == "randaugment")
    result = randaugment(scope, result, kRandAugmentOps, kRandAugmentLevel);
  else if (!o.color_jitter.empty())
    result = jittered(scope, result, o.color_jitter);
  else if (parts.colors)
    result = parts.colors(scope, result, request);
  return parts.values(scope, result);
}

}  // namespace

void check_recipe(const AugmentationOptions& o, const Parts* parts, const std::string& name) {
  if (o.augment != "default" && o.augment != "none" && o.augment != "randaugment")
    throw InvalidArgumentError("augment is '" + o.augment + "', expected default, none or randaugment");
  check_crop_scale(o);
  check_color_jitter(o);
  check_number("hflip", o.hflip.value_or(0), 0, 1);
  check_number("vflip", o.vflip, 0, 1);
  check_number("random_erasing", o.random_erasing, 0, 1);
  if (o.augment == "none") reject_without_augment(o);
  if (o.augment == "randaugment" && !o.color_jitter.empty())
    throw InvalidArgumentError(
        "augment is randaugment, which has colours of its own, and color_jitter is given: leave one out");
  if (!parts && changes_parts(o))
    throw InvalidArgumentError("the preprocessing of " + name +
                               " is a plugin's, whose parts are not known: of the options of augmentations it takes "
                               "augment=none and random_erasing alone");
}

Output train_by_recipe(const Scope& scope, const Output& image, const Request& request,
                       const PreprocessingBuilder& family, const Parts* parts) {
  const AugmentationOptions& o = request.options;
  Output result;
  if (o.augment == "none") {
    Request as_eval = request;
    as_eval.training = false;
    result = family(scope, image, as_eval);
  } else {
    result = parts && changes_parts(o) ? made_of_parts(scope, image, request, *parts) : family(scope, image, request);
  }
  return o.random_erasing > 0 ? erased(scope, result, request) : result;
}

}  // namespace mox::preprocess
