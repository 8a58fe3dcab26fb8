#include "moxing/mixing.h"

#include <fmt/format.h>

#include "base/limits.h"
#include "graph/graph_state.h"
#include "moxing/error.h"
#include "preprocess/beta_quantile.h"
#include "preprocess/image_ops.h"
#include "tensorflow/cc/ops/standard_ops.h"

namespace mox {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;
using preprocess::random_float;
using tf::Output;

namespace {

constexpr int kQuantiles = 2049;
constexpr double kMostAlpha = 1000;

void check_tensor(const Scope& scope, const Output& tensor, const char* what, int rank, const char* expected) {
  auto* context = scope.state().refiner.GetContext(tensor.node());
  const auto shape = context->output(tensor.index());
  if (tensor.type() != tf::DT_FLOAT || (context->RankKnown(shape) && context->Rank(shape) != rank))
    throw InvalidArgumentError(fmt::format("mix_batch: {} are {} {}, expected float {}", what,
                                           tf::DataTypeString(tensor.type()), context->DebugString(shape), expected));
}

// Of Beta(alpha, alpha): a uniform number's quantile, in lines between those of a table.
Output random_beta(const Scope& scope, float alpha) {
  tf::Tensor table(tf::DT_FLOAT, {kQuantiles});
  const std::vector<float> quantiles = preprocess::beta_quantiles(alpha, kQuantiles);
  std::copy(quantiles.begin(), quantiles.end(), table.vec<float>().data());
  const Output all = ops::Const(scope, tf::Input::Initializer(table));
  const Output place = random_float(scope, 0, kQuantiles - 1);
  const Output low = ops::Minimum(scope, ops::Cast(scope, ops::Floor(scope, place), tf::DT_INT32), kQuantiles - 2);
  const Output from = ops::GatherV2(scope, all, low, 0);
  const Output to = ops::GatherV2(scope, all, ops::Add(scope, low, 1), 0);
  const Output part = ops::Subtract(scope, place, ops::Cast(scope, low, tf::DT_FLOAT));
  return ops::Add(scope, from, ops::Multiply(scope, ops::Subtract(scope, to, from), part));
}

// How much of each pixel is the image's own [1, height or 1, width or 1, 1], and how much of the whole.
struct Share {
  Output of_pixels, of_all;
};

Share of_mixup(const Scope& scope, float alpha) {
  const Output own = random_beta(scope, alpha);
  return {ops::Reshape(scope, own, {1, 1, 1, 1}), own};
}

// The box's places on a side of that length: half the box on each side of its middle, cut where the image ends.
struct Span {
  Output low, high;
};

Span random_span(const Scope& scope, const Output& side, const Output& part) {
  const Output length = ops::Floor(scope, ops::Multiply(scope, side, part));
  const Output middle = ops::Floor(scope, ops::Multiply(scope, random_float(scope, 0, 1), side));
  const Output half = ops::Floor(scope, ops::Multiply(scope, length, 0.5f));
  return {ops::Maximum(scope, ops::Subtract(scope, middle, half), 0.f),
          ops::Minimum(scope, ops::Add(scope, middle, half), side)};
}

Output within(const Scope& scope, const Span& span, const Output& side) {
  const Output places = ops::Range(scope, 0.f, side, 1.f);
  return ops::LogicalAnd(scope, ops::GreaterEqual(scope, places, span.low), ops::Less(scope, places, span.high));
}

Share of_cutmix(const Scope& scope, const Output& images, float alpha) {
  const auto shape = ops::Unstack(scope, ops::Cast(scope, ops::Shape(scope, images), tf::DT_FLOAT), 4);
  const Output height = shape[1], width = shape[2];
  const Output part = ops::Sqrt(scope, ops::Subtract(scope, 1.f, random_beta(scope, alpha)));
  const Span rows = random_span(scope, height, part), columns = random_span(scope, width, part);
  const Output box = ops::LogicalAnd(scope, ops::Reshape(scope, within(scope, rows, height), {1, -1, 1, 1}),
                                     ops::Reshape(scope, within(scope, columns, width), {1, 1, -1, 1}));
  const Output area =
      ops::Multiply(scope, ops::Subtract(scope, rows.high, rows.low), ops::Subtract(scope, columns.high, columns.low));
  const Output pasted = ops::Div(scope, area, ops::Multiply(scope, height, width));
  return {ops::Cast(scope, ops::LogicalNot(scope, box), tf::DT_FLOAT), ops::Subtract(scope, 1.f, pasted)};
}

Share one_of(const Scope& scope, const Share& a, const Share& b) {
  const Output first = ops::Less(scope, random_float(scope, 0, 1), 0.5f);
  return {ops::SelectV2(scope, first, a.of_pixels, b.of_pixels), ops::SelectV2(scope, first, a.of_all, b.of_all)};
}

Output mixed(const Scope& scope, const Output& own, const Output& share) {
  const Output other = ops::Reverse(scope, own, {0});
  return ops::Add(scope, other, ops::Multiply(scope, ops::Subtract(scope, own, other), share));
}

}  // namespace

MixedBatch mix_batch(const Scope& parent, const Output& images, const Output& labels, const MixOptions& options) {
  check_number("mixup", options.mixup, 0, kMostAlpha, "0 turns it off");
  check_number("cutmix", options.cutmix, 0, kMostAlpha, "0 turns it off");
  check_tensor(parent, images, "images", 4, "[batch, height, width, channels]");
  check_tensor(parent, labels, "labels", 2, "[batch, classes]: a distribution a row, as of one_hot_encoding");
  if (options.mixup == 0 && options.cutmix == 0) return {images, labels};
  const Scope scope = parent.with(parent.NewSubScope("mix_batch"));
  Share share;
  if (options.mixup > 0) share = of_mixup(scope, options.mixup);
  if (options.cutmix > 0) {
    const Share cut = of_cutmix(scope, images, options.cutmix);
    share = options.mixup > 0 ? one_of(scope, share, cut) : cut;
  }
  const MixedBatch result{mixed(scope, images, share.of_pixels), mixed(scope, labels, share.of_all)};
  check(scope, "mix_batch");
  return result;
}

}  // namespace mox
