#include "preprocess/randaugment.h"

#include <cmath>
#include <numbers>

#include "graph/graph_state.h"
#include "preprocess/color.h"
#include "preprocess/image_ops.h"
#include "tensorflow/cc/ops/image_ops.h"
#include "tensorflow/cc/ops/standard_ops.h"
#include "tensorflow/core/graph/node_builder.h"

namespace mox::preprocess {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

namespace {

constexpr float kGrey = 128;  // where a moved image leaves the frame empty
// At level 1, torchvision's.
constexpr float kMostShear = 0.3f, kMostShift = 150.f / 331, kMostDegrees = 30, kMostFactor = 0.9f, kMostBits = 4;

struct Change {
  Output image, sign;
  float level;
};

struct Sides {
  float height, width;
};

Sides sides_of(const Scope& scope, const Output& image) {
  const std::vector<int64_t> shape = static_shape(scope, image);
  return {static_cast<float>(shape[0]), static_cast<float>(shape[1])};
}

// The pixel at (x, y) is that of the image at (a0 x + a1 y + a2, b0 x + b1 y + b2), bilinear. TensorFlow has no C++
// class for the operation.
Output moved(const Scope& scope, const Output& image, const std::vector<Output>& a0_to_b2) {
  std::vector<Output> eight = a0_to_b2;
  eight.insert(eight.end(), 2, ops::Const(scope, 0.f));
  const Output transform = ops::ExpandDims(scope, ops::Stack(scope, tf::OutputList(eight)), 0);
  const Sides sides = sides_of(scope, image);
  const Output batch = ops::ExpandDims(scope, image, 0);
  const Output size = ops::Const(scope, {static_cast<int>(sides.height), static_cast<int>(sides.width)});
  const Output fill = ops::Const(scope, kGrey);
  const char* op = "ImageProjectiveTransformV3";
  tf::NodeBuilder builder(scope.GetUniqueNameForOp(op), op);
  for (const Output& input : {batch, transform, size, fill}) builder.Input(input.node(), input.index());
  builder.Attr("interpolation", "BILINEAR").Attr("fill_mode", "CONSTANT");
  scope.UpdateBuilder(&builder);
  tf::Node* node = nullptr;
  scope.UpdateStatus(builder.Finalize(scope.graph(), &node));
  if (!scope.ok()) return {};
  scope.UpdateStatus(scope.DoShapeInference(node));
  const Output result = ops::Squeeze(scope, Output(node, 0), ops::Squeeze::Axis({0}));
  return ops::EnsureShape(scope, result, tf::PartialTensorShape(static_shape(scope, image)));
}

Output times(const Scope& scope, const Output& sign, float amount) { return ops::Multiply(scope, sign, amount); }
Output constant(const Scope& scope, float value) { return ops::Const(scope, value); }
Output factor(const Scope& scope, const Change& c) {
  return ops::Add(scope, times(scope, c.sign, kMostFactor * c.level), 1.f);
}

Output identity(const Scope& scope, const Change& c) { return ops::Identity(scope, c.image); }

// About the corner, as PIL's and torchvision's for RandAugment.
Output shear_x(const Scope& scope, const Change& c) {
  const Output zero = constant(scope, 0), one = constant(scope, 1);
  return moved(scope, c.image, {one, times(scope, c.sign, kMostShear * c.level), zero, zero, one, zero});
}

Output shear_y(const Scope& scope, const Change& c) {
  const Output zero = constant(scope, 0), one = constant(scope, 1);
  return moved(scope, c.image, {one, zero, zero, times(scope, c.sign, kMostShear * c.level), one, zero});
}

Output translate_x(const Scope& scope, const Change& c) {
  const Output zero = constant(scope, 0), one = constant(scope, 1);
  const float most = std::floor(kMostShift * c.level * sides_of(scope, c.image).width);
  return moved(scope, c.image, {one, zero, times(scope, c.sign, most), zero, one, zero});
}

Output translate_y(const Scope& scope, const Change& c) {
  const Output zero = constant(scope, 0), one = constant(scope, 1);
  const float most = std::floor(kMostShift * c.level * sides_of(scope, c.image).height);
  return moved(scope, c.image, {one, zero, zero, zero, one, times(scope, c.sign, most)});
}

// About the middle.
Output rotate(const Scope& scope, const Change& c) {
  const Sides sides = sides_of(scope, c.image);
  const float angle = kMostDegrees * c.level * std::numbers::pi_v<float> / 180;
  const float x = (sides.width - 1) / 2, y = (sides.height - 1) / 2;
  const Output cosine = constant(scope, std::cos(angle)), sine = times(scope, c.sign, std::sin(angle));
  const float rest = 1 - std::cos(angle);
  const Output right = ops::Add(scope, ops::Multiply(scope, sine, y), rest * x);
  const Output down = ops::Subtract(scope, rest * y, ops::Multiply(scope, sine, x));
  return moved(scope, c.image, {cosine, ops::Negate(scope, sine), right, sine, cosine, down});
}

Output brightness(const Scope& scope, const Change& c) { return adjust_brightness(scope, c.image, factor(scope, c)); }
Output color(const Scope& scope, const Change& c) {
  return ops::Identity(scope, adjust_saturation(scope, c.image, factor(scope, c)));
}
Output contrast(const Scope& scope, const Change& c) { return adjust_contrast(scope, c.image, factor(scope, c)); }

// Towards the mean of 3 x 3 pixels, the middle five times; those at the border stay.
Output sharpness(const Scope& scope, const Change& c) {
  const std::vector<int64_t> shape = static_shape(scope, c.image);
  if (shape[0] < 3 || shape[1] < 3) return identity(scope, c);
  tf::Tensor filter(tf::DT_FLOAT, {3, 3, shape[2], 1}), border(tf::DT_FLOAT, {shape[0], shape[1], 1});
  for (int64_t i = 0; i < 9; ++i)
    for (int64_t channel = 0; channel < shape[2]; ++channel)
      filter.tensor<float, 4>()(i / 3, i % 3, channel, 0) = (i == 4 ? 5.f : 1.f) / 13;
  for (int64_t y = 0; y < shape[0]; ++y)
    for (int64_t x = 0; x < shape[1]; ++x)
      border.tensor<float, 3>()(y, x, 0) = y == 0 || x == 0 || y == shape[0] - 1 || x == shape[1] - 1;
  const Output inside = ops::DepthwiseConv2dNative(scope, ops::ExpandDims(scope, c.image, 0),
                                                   tf::Input::Initializer(filter), {1, 1, 1, 1}, "VALID");
  const Output smooth = ops::Pad(scope, ops::Squeeze(scope, inside, ops::Squeeze::Axis({0})),
                                 ops::Const(scope, {1, 1, 1, 1, 0, 0}, {3, 2}));
  const Output kept = ops::Multiply(scope, c.image, tf::Input::Initializer(border));
  return blended(scope, c.image, ops::Add(scope, smooth, kept), factor(scope, c));
}

Output posterize(const Scope& scope, const Change& c) {
  const float step = std::exp2(std::round(kMostBits * c.level));
  const Output steps = ops::Floor(scope, ops::Div(scope, ops::Floor(scope, c.image), step));
  return ops::Multiply(scope, steps, step);
}

Output solarize(const Scope& scope, const Change& c) {
  const Output bright = ops::GreaterEqual(scope, c.image, 255 * (1 - c.level));
  return ops::SelectV2(scope, bright, ops::Subtract(scope, 255.f, c.image), c.image);
}

// Each channel from 0 to 255; one of one colour stays.
Output autocontrast(const Scope& scope, const Change& c) {
  const Output axes = ops::Const(scope, {0, 1});
  const Output low = ops::Min(scope, c.image, axes, ops::Min::KeepDims(true));
  const Output width = ops::Subtract(scope, ops::Max(scope, c.image, axes, ops::Max::KeepDims(true)), low);
  const Output stretched = ops::Multiply(scope, ops::Subtract(scope, c.image, low), ops::DivNoNan(scope, 255.f, width));
  return ops::SelectV2(scope, ops::Greater(scope, width, 0.f), stretched, c.image);
}

// A channel's whole numbers so that each is as frequent as the others: PIL's ImageOps.equalize.
Output equalized(const Scope& scope, const Output& channel) {
  const Output bytes = ops::Cast(scope, channel, tf::DT_INT32);
  const Output none = ops::Const(scope, tf::Input::Initializer(tf::Tensor(tf::DT_INT32, {0})));  // each counts as 1
  const Output counts = ops::Bincount(scope, ops::Reshape(scope, bytes, {-1}), 256, none);
  const Output before = ops::Cumsum(scope, counts, 0, ops::Cumsum::Exclusive(true));
  const Output last =
      ops::Max(scope, ops::SelectV2(scope, ops::Greater(scope, counts, 0), ops::Range(scope, 0, 256, 1), -1), 0);
  const Output all = ops::Sum(scope, counts, 0);
  const Output step = ops::FloorDiv(scope, ops::Subtract(scope, all, ops::GatherV2(scope, counts, last, 0)), 255);
  const Output half = ops::FloorDiv(scope, step, 2);
  const Output table =
      ops::Minimum(scope, ops::FloorDiv(scope, ops::Add(scope, before, half), ops::Maximum(scope, step, 1)), 255);
  const Output mapped = to_float(scope, ops::GatherV2(scope, table, bytes, 0));
  return ops::SelectV2(scope, ops::Greater(scope, step, 0), mapped, channel);
}

Output equalize(const Scope& scope, const Change& c) {
  const std::vector<int64_t> shape = static_shape(scope, c.image);
  const Output whole = ops::ClipByValue(scope, ops::Round(scope, c.image), 0.f, 255.f);
  const auto channels = ops::Unstack(scope, whole, shape[2], ops::Unstack::Axis(2));
  std::vector<Output> results;
  for (const Output& channel : channels.output) results.push_back(equalized(scope, channel));
  return ops::Stack(scope, tf::OutputList(results), ops::Stack::Axis(2));
}

struct Named {
  const char* name;
  Output (*build)(const Scope& scope, const Change& change);
};

constexpr Named kChanges[] = {
    {"Identity", identity},         {"ShearX", shear_x},      {"ShearY", shear_y},        {"TranslateX", translate_x},
    {"TranslateY", translate_y},    {"Rotate", rotate},       {"Brightness", brightness}, {"Color", color},
    {"Contrast", contrast},         {"Sharpness", sharpness}, {"Posterize", posterize},   {"Solarize", solarize},
    {"AutoContrast", autocontrast}, {"Equalize", equalize}};

}  // namespace

const std::vector<std::string>& randaugment_changes() {
  static const auto* names = [] {
    auto* all = new std::vector<std::string>;
    for (const Named& change : kChanges) all->emplace_back(change.name);
    return all;
  }();
  return *names;
}

Output randaugment_change(const Scope& scope, const Output& image, const std::string& change, float level,
                          const Output& sign) {
  for (const Named& named : kChanges)
    if (change == named.name) return named.build(scope, {image, sign, level});
  return {};
}

Output randaugment(const Scope& scope, const Output& image, int count, float level) {
  Output result = static_channels(scope, image) < 0 ? require_channels(scope, image, 3, "randaugment") : image;
  const std::vector<int64_t> shape = static_shape(scope, result);
  for (int i = 0; i < count; ++i) {
    const Output upwards = ops::Less(scope, random_float(scope, 0, 1), 0.5f);
    const Output sign = ops::SelectV2(scope, upwards, 1.f, -1.f);
    result = random_case(scope, result, static_cast<int>(std::size(kChanges)), [&](const Output& chosen, int change) {
      const Output known = ops::EnsureShape(scope, chosen, tf::PartialTensorShape(shape));
      return kChanges[change].build(scope, {known, sign, level});
    });
    result = ops::EnsureShape(scope, result, tf::PartialTensorShape(shape));  // a Merge forgets it
  }
  return result;
}

}  // namespace mox::preprocess
