// inception: TRAIN cuts a random box out of the image, resizes it without regard to its shape and distorts its
// colours; EVAL resizes the middle. Values from -1 to 1.
#include "graph/augment_marks.h"
#include "moxing/error.h"
#include "preprocess/families.h"
#include "preprocess/image_ops.h"
#include "tensorflow/cc/ops/image_ops.h"

namespace mox::preprocess {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

namespace {

Output cut_random_box(const Scope& scope, const Output& image, const Request& request) {
  const Box box = random_box(scope, image, {{request.options.area_min, 1.0f}, {0.75f, 1.33f}, 0.1f});
  marked_draw(box.begin, augment_marks::kBox);
  return ops::Slice(scope, image, box.begin, box.size);
}

enum Resize { kBilinear, kNearest, kBicubic, kArea, kResizes };

Output resize(const Scope& scope, const Output& image, const Request& request, int method) {
  const Output batch = ops::ExpandDims(scope, image, 0);
  const Output size = ops::Const(scope, {request.height, request.width});
  Output resized;
  switch (method) {
    case kNearest:
      resized = ops::ResizeNearestNeighbor(scope, batch, size);
      break;
    case kBicubic:
      resized = ops::ResizeBicubic(scope, batch, size);
      break;
    case kArea:
      resized = ops::ResizeArea(scope, batch, size);
      break;
    default:
      resized = ops::ResizeBilinear(scope, batch, size);
      break;
  }
  return to_float(scope, ops::Squeeze(scope, resized, ops::Squeeze::Axis({0})));
}

// Bytes become 0..1. After the resize, which is linear: there are fewer pixels then.
Output unit_range(const Scope& scope, const Output& resized, tf::DataType original) {
  return original == tf::DT_UINT8 ? Output(ops::Multiply(scope, resized, 1.f / 255.f)) : resized;
}

Output brightness(const Scope& scope, const Output& image) { return random_brightness(scope, image, 32.f / 255.f); }

Output saturation(const Scope& scope, const Output& image) {
  // Grey has none; the kernel takes three channels only.
  if (static_channels(scope, image) == 1) return image;
  const Output scale = random_float(scope, 0.5f, 1.5f);
  return ops::AdjustSaturation(scope, image, marked_draw(scale, augment_marks::kSaturation));
}

Output hue(const Scope& scope, const Output& image) {
  if (static_channels(scope, image) == 1) return image;
  return ops::AdjustHue(scope, image, random_float(scope, -0.2f, 0.2f));
}

Output contrast(const Scope& scope, const Output& image) { return random_contrast(scope, image, 0.5f, 1.5f); }

using Distortion = Output (*)(const Scope&, const Output&);
constexpr Distortion kOrders[4][4] = {
    {brightness, saturation, hue, contrast},
    {saturation, brightness, contrast, hue},
    {contrast, hue, brightness, saturation},
    {hue, saturation, contrast, brightness},
};

Output distort_color(const Scope& scope, const Output& image, bool fast_mode) {
  Output distorted;
  if (fast_mode) {
    distorted = saturation(scope, brightness(scope, image));
  } else {
    distorted = random_case(scope, image, 4, [&](const Output& chosen, int order) {
      Output result = chosen;
      for (const Distortion distortion : kOrders[order]) result = distortion(scope, result);
      return result;
    });
  }
  return ops::ClipByValue(scope, distorted, ops::Const(scope, 0.f), ops::Const(scope, 1.f));
}

Output central_part(const Scope& scope, const Output& image, double fraction) {
  if (!(fraction > 0 && fraction <= 1))
    throw InvalidArgumentError("inception preprocessing: central_fraction is " + std::to_string(fraction) +
                               ", expected above 0 to 1");
  if (fraction == 1) return image;
  const Size size = size_of(scope, image);
  const auto start = [&](const Output& length) {
    const Output whole = ops::Cast(scope, length, tf::DT_DOUBLE);
    const Output rest = ops::Subtract(scope, whole, ops::Multiply(scope, whole, ops::Const(scope, fraction)));
    return Output(ops::Cast(scope, ops::Div(scope, rest, ops::Const(scope, 2.0)), tf::DT_INT32));
  };
  const auto inner = [&](const Output& length, const Output& margin) {
    return Output(ops::Subtract(scope, length, ops::Multiply(scope, margin, 2)));
  };
  const Output top = start(size.height), left = start(size.width);
  return ops::Slice(scope, image, ops::Stack(scope, {top, left, ops::Const(scope, 0)}),
                    ops::Stack(scope, {inner(size.height, top), inner(size.width, left), ops::Const(scope, -1)}));
}

// What slices by sizes at run time make the graph forget.
Output with_channels(const Scope& scope, const Output& image, int channels) {
  return channels < 0 ? image : Output(ops::EnsureShape(scope, image, tf::PartialTensorShape({-1, -1, channels})));
}

}  // namespace

Output inception(const Scope& scope, const Output& image, const Request& request) {
  const int channels = static_channels(scope, image);
  Output result;
  if (request.training) {
    if (!(request.options.area_min > 0 && request.options.area_min <= 1))
      throw InvalidArgumentError("inception preprocessing: area_min is " + std::to_string(request.options.area_min) +
                                 ", expected above 0 to 1");
    const Output box = with_channels(scope, cut_random_box(scope, image, request), channels);
    const int methods = request.options.fast_mode ? 1 : kResizes;
    result = random_case(scope, box, methods,
                         [&](const Output& chosen, int method) { return resize(scope, chosen, request, method); });
    result = random_flip_left_right(scope, unit_range(scope, result, image.type()));
    result = distort_color(scope, result, request.options.fast_mode);
  } else {
    const Output middle = with_channels(scope, central_part(scope, image, request.options.central_fraction), channels);
    result = unit_range(scope, resize(scope, middle, request, kBilinear), image.type());
  }
  result = ops::Multiply(scope, ops::Subtract(scope, result, 0.5f), 2.f);
  return marked(
      result,
      {augment_marks::kInception, request.training, request.height, request.width, {request.options.central_fraction}});
}

namespace {

Output cut(const Scope& scope, const Output& image, const Request& request) {
  const Output box = with_channels(scope, cut_random_box(scope, image, request), static_channels(scope, image));
  const int methods = request.options.fast_mode ? 1 : kResizes;
  const Output resized = random_case(
      scope, box, methods, [&](const Output& chosen, int method) { return resize(scope, chosen, request, method); });
  return image.type() == tf::DT_UINT8 ? resized : Output(ops::Multiply(scope, resized, 255.f));
}

Output colors(const Scope& scope, const Output& image, const Request& request) {
  const Output unit = ops::Multiply(scope, image, 1.f / 255.f);
  return ops::Multiply(scope, distort_color(scope, unit, request.options.fast_mode), 255.f);
}

Output values(const Scope& scope, const Output& image) {
  return ops::Subtract(scope, ops::Multiply(scope, image, 2.f / 255.f), 1.f);
}

}  // namespace

const Parts& inception_parts() {
  static const Parts parts{cut, colors, values, 0.5f, 255};
  return parts;
}

}  // namespace mox::preprocess
