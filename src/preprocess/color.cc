#include "preprocess/color.h"

#include "preprocess/image_ops.h"
#include "tensorflow/cc/ops/image_ops.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace mox::preprocess {

namespace ops = tensorflow::ops;

Output grey_of(const Scope& scope, const Output& image) {
  if (static_channels(scope, image) == 1) return image;
  return ops::Sum(scope, ops::Multiply(scope, image, {0.299f, 0.587f, 0.114f}), -1, ops::Sum::KeepDims(true));
}

Output blended(const Scope& scope, const Output& image, const Output& other, const Output& factor) {
  const Output mixed = ops::Add(scope, other, ops::Multiply(scope, ops::Subtract(scope, image, other), factor));
  return ops::ClipByValue(scope, mixed, 0.f, 255.f);
}

Output adjust_brightness(const Scope& scope, const Output& image, const Output& factor) {
  return ops::ClipByValue(scope, ops::Multiply(scope, image, factor), 0.f, 255.f);
}

Output adjust_contrast(const Scope& scope, const Output& image, const Output& factor) {
  return blended(scope, image, ops::Mean(scope, grey_of(scope, image), {0, 1, 2}), factor);
}

Output adjust_saturation(const Scope& scope, const Output& image, const Output& factor) {
  if (static_channels(scope, image) == 1) return image;
  return blended(scope, image, grey_of(scope, image), factor);
}

Output adjust_hue(const Scope& scope, const Output& image, const Output& turn) {
  if (static_channels(scope, image) == 1) return image;
  return ops::AdjustHue(scope, image, turn);
}

}  // namespace mox::preprocess
