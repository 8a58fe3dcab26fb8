#include "preprocess/image_ops.h"

#include "graph/augment_marks.h"
#include "graph/graph_state.h"
#include "moxing/error.h"
#include "tensorflow/cc/ops/control_flow_ops.h"
#include "tensorflow/cc/ops/image_ops.h"
#include "tensorflow/cc/ops/logging_ops.h"

namespace mox::preprocess {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

Output to_float(const Scope& scope, const Output& image) {
  return image.type() == tf::DT_FLOAT ? image : Output(ops::Cast(scope, image, tf::DT_FLOAT));
}

Size size_of(const Scope& scope, const Output& image) {
  const auto sides = ops::Unstack(scope, ops::Shape(scope, image), 3);
  return {sides[0], sides[1]};
}

int static_channels(const Scope& scope, const Output& image) {
  auto* context = scope.state().refiner.GetContext(image.node());
  const auto shape = context->output(image.index());
  if (!context->RankKnown(shape)) return -1;
  const auto channels = context->Dim(shape, 2);
  return context->ValueKnown(channels) ? static_cast<int>(context->Value(channels)) : -1;
}

Output crop(const Scope& scope, const Output& image, const Output& offset_height, const Output& offset_width,
            int height, int width, int channels) {
  const Output begin = ops::Stack(scope, {offset_height, offset_width, ops::Const(scope, 0)});
  return ops::Slice(scope, image, begin, ops::Const(scope, {height, width, channels}));
}

namespace {

// How one side is cut and padded: `cut` at its start, `keep` pixels, then `before` and `after` zeros around.
struct Fit {
  Output cut, keep, before, after;
};

Fit fit_side(const Scope& scope, const Output& length, int target) {
  const Output zero = ops::Const(scope, 0), two = ops::Const(scope, 2), wanted = ops::Const(scope, target);
  const Output missing = ops::Maximum(scope, ops::Subtract(scope, wanted, length), zero);
  const Output surplus = ops::Maximum(scope, ops::Subtract(scope, length, wanted), zero);
  const Output before = ops::FloorDiv(scope, missing, two);
  return {ops::FloorDiv(scope, surplus, two), ops::Minimum(scope, length, wanted), before,
          ops::Subtract(scope, missing, before)};
}

}  // namespace

Output resize_image_with_crop_or_pad(const Scope& scope, const Output& image, int height, int width) {
  const Size size = size_of(scope, image);
  const Fit rows = fit_side(scope, size.height, height), columns = fit_side(scope, size.width, width);
  const Output zero = ops::Const(scope, 0);
  const Output kept = ops::Slice(scope, image, ops::Stack(scope, {rows.cut, columns.cut, zero}),
                                 ops::Stack(scope, {rows.keep, columns.keep, ops::Const(scope, -1)}));
  const Output paddings = ops::Reshape(
      scope, ops::Stack(scope, {rows.before, rows.after, columns.before, columns.after, zero, zero}), {3, 2});
  // The slice is the whole: it tells the static shape.
  return crop(scope, ops::Pad(scope, kept, paddings), zero, zero, height, width, static_channels(scope, image));
}

Output require_channels(const Scope& scope, const Output& image, int channels, const std::string& who) {
  const int known = static_channels(scope, image);
  if (known == channels) return image;
  if (known >= 0)
    throw InvalidArgumentError(who + ": image " + image.name() + " has " + std::to_string(known) +
                               " channels, expected " + std::to_string(channels) +
                               " (RGB); decode with channels=3, or convert it (grayscale_to_rgb)");
  return ops::EnsureShape(scope.WithOpName("needs_rgb_image"), image, tf::PartialTensorShape({-1, -1, channels}));
}

Output central_crop(const Scope& scope, const Output& image, int height, int width) {
  const Size size = size_of(scope, image);
  const auto offset = [&](const Output& length, int target) {
    return Output(ops::FloorDiv(scope, ops::Subtract(scope, length, target), 2));
  };
  return crop(scope, image, offset(size.height, height), offset(size.width, width), height, width,
              static_channels(scope, image));
}

Output per_image_standardization(const Scope& scope, const Output& image) {
  const Output axes = ops::Const(scope, {0, 1, 2});
  const auto keep = ops::Mean::KeepDims(true);
  const Output centred = ops::Subtract(scope, image, ops::Mean(scope, image, axes, keep));
  const Output deviation = ops::Sqrt(scope, ops::Mean(scope, ops::Square(scope, centred), axes, keep));
  // A uniform image has none.
  const Output least = ops::Rsqrt(scope, to_float(scope, ops::Size(scope, image)));
  return ops::Div(scope, centred, ops::Maximum(scope, deviation, least));
}

Output marked(const Output& result, const Mark& mark) {
  tf::Node* node = result.node();
  node->AddAttr(augment_marks::kFamily, mark.family);
  node->AddAttr(augment_marks::kTraining, mark.training);
  node->AddAttr(augment_marks::kSize, std::vector<int64_t>{mark.height, mark.width});
  node->AddAttr(augment_marks::kValues, mark.values);
  node->AddAttr(augment_marks::kSide, static_cast<int64_t>(mark.side));
  return result;
}

Output marked_draw(const Output& drawn, const char* name) {
  drawn.node()->AddAttr(augment_marks::kDraw, name);
  return drawn;
}

Output random_float(const Scope& scope, float low, float high) {
  const auto [seed, seed2] = scope.next_seed();
  const Output unit = ops::RandomUniform(scope, tf::Input::Initializer(tf::Tensor(tf::DT_INT32, {0})), tf::DT_FLOAT,
                                         ops::RandomUniform::Seed(seed).Seed2(seed2));
  return ops::Add(scope, ops::Multiply(scope, unit, high - low), low);
}

Output random_int(const Scope& scope, const Output& low, const tf::Input& end) {
  const auto [seed, seed2] = scope.next_seed();
  return ops::RandomUniformInt(scope, tf::Input::Initializer(tf::Tensor(tf::DT_INT32, {0})), low, end,
                               ops::RandomUniformInt::Seed(seed).Seed2(seed2));
}

Output random_crop(const Scope& scope, const Output& image, int height, int width) {
  const Size size = size_of(scope, image);
  const Output fits = ops::LogicalAnd(scope, ops::GreaterEqual(scope, size.height, height),
                                      ops::GreaterEqual(scope, size.width, width));
  const std::string text = "preprocessing: the crop of " + std::to_string(height) + "x" + std::to_string(width) +
                           " does not fit into the image, whose height and width (with padding) are: ";
  const ops::Assert fit(scope, fits, {ops::Const(scope, text), size.height, size.width});
  const Scope checked = scope.with(scope.WithControlDependencies({fit.operation}));
  const auto offset = [&](const Output& length, int target) {
    return random_int(checked, ops::Const(checked, 0), ops::Add(checked, ops::Subtract(checked, length, target), 1));
  };
  const Output top = marked_draw(offset(size.height, height), augment_marks::kTop);
  const Output left = marked_draw(offset(size.width, width), augment_marks::kLeft);
  return crop(scope, image, top, left, height, width, static_channels(scope, image));
}

Box random_box(const Scope& scope, const Output& image, const BoxRange& range) {
  const auto [seed, seed2] = scope.next_seed();
  const Output object = ops::Const(scope, {0.f, 0.f, 1.f, 1.f}, {1, 1, 4});  // the whole image
  const ops::SampleDistortedBoundingBoxV2 box(scope, ops::Shape(scope, image), object, range.least_covered,
                                              ops::SampleDistortedBoundingBoxV2::Seed(seed)
                                                  .Seed2(seed2)
                                                  .AspectRatioRange(range.aspect_ratios)
                                                  .AreaRange(range.areas)
                                                  .MaxAttempts(100)
                                                  .UseImageIfNoBoundingBoxes(true));
  return {box.begin, box.size};
}

Output random_flip_left_right(const Scope& scope, const Output& image) {
  const auto build = [&](const Output& chosen, int flip) {
    return flip ? Output(ops::Reverse(scope, chosen, {1})) : Output(ops::Identity(scope, chosen));
  };
  return random_case(scope, image, 2, build, augment_marks::kFlip);
}

Output random_brightness(const Scope& scope, const Output& image, float max_delta) {
  const Output delta = random_float(scope, -max_delta, max_delta);
  return ops::Add(scope, image, marked_draw(delta, augment_marks::kBrightness));
}

Output random_contrast(const Scope& scope, const Output& image, float low, float high) {
  return ops::AdjustContrast(scope, image, random_float(scope, low, high));
}

Output random_case(const Scope& scope, const Output& image, int cases,
                   const std::function<Output(const Output& image, int chosen)>& build, const char* draw) {
  if (cases == 1) return build(image, 0);
  const Output chosen = random_int(scope, ops::Const(scope, 0), cases);
  if (draw) marked_draw(chosen, draw);
  std::vector<Output> results;
  for (int i = 0; i < cases; ++i) {
    // In the cases that are not chosen the image is dead, and what depends on it does not run.
    const ops::Switch branch(scope, image, ops::Equal(scope, chosen, i));
    results.push_back(build(branch.output_true, i));
  }
  return ops::Merge(scope, results).output;
}

}  // namespace mox::preprocess
