#include "preprocess/image_ops.h"

#include "graph/graph_state.h"

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

}  // namespace mox::preprocess
