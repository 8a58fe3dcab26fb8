// vgg, pvanet and torch: the shorter side is resized, a crop is cut out of it, the data set's mean colour is
// subtracted.
#include "graph/augment_marks.h"
#include "moxing/error.h"
#include "preprocess/families.h"
#include "preprocess/image_ops.h"
#include "tensorflow/cc/ops/image_ops.h"

namespace mox::preprocess {

namespace tf = tensorflow;
namespace ops = tensorflow::ops;

namespace {

constexpr int kDefaultSide = 256, kDefaultOutput = 224;

struct Sides {
  int least, most;  // of the shorter side, pixels
};

Sides resize_sides(const Request& request) {
  const AugmentationOptions& options = request.options;
  const int output = std::max(request.height, request.width);
  Sides sides{options.resize_side_min, options.resize_side_max};
  // An output that is larger than the usual side keeps the usual margin.
  if (sides.least == 0)
    sides.least = output <= kDefaultSide ? kDefaultSide : (output * kDefaultSide + kDefaultOutput - 1) / kDefaultOutput;
  if (sides.most == 0) sides.most = 2 * sides.least;
  if (sides.least < output || sides.most < sides.least)
    throw InvalidArgumentError("preprocessing: resize_side_min is " + std::to_string(sides.least) +
                               " and resize_side_max " + std::to_string(sides.most) +
                               ", expected both to be at least the output's larger side, " + std::to_string(output) +
                               ", and the maximum not below the minimum");
  return sides;
}

Output resize_shorter_side(const Scope& scope, const Output& image, const Output& side) {
  const Size size = size_of(scope, image);
  const Output height = to_float(scope, size.height), width = to_float(scope, size.width);
  const Output scale = ops::Div(scope, to_float(scope, side), ops::Minimum(scope, height, width));
  const auto scaled = [&](const Output& length) {
    return Output(ops::Cast(scope, ops::Rint(scope, ops::Multiply(scope, length, scale)), tf::DT_INT32));
  };
  const Output target = ops::Stack(scope, {scaled(height), scaled(width)});
  const Output batch = ops::ExpandDims(scope, image, 0);
  return ops::Squeeze(scope, ops::ResizeBilinear(scope, batch, target), ops::Squeeze::Axis({0}));
}

Output without_mean(const Scope& scope, const Output& image, const float (&mean)[3]) {
  return ops::Subtract(scope, image, ops::Const(scope, {mean[0], mean[1], mean[2]}));
}

Output crop_of_resized(const Scope& scope, const Output& input, const Request& request, const float (&mean)[3]) {
  const Output image = require_channels(scope, input, 3, "vgg, pvanet and torch preprocessing");
  const Sides sides = resize_sides(request);
  const Output side = request.training ? marked_draw(random_int(scope, ops::Const(scope, sides.least), sides.most + 1),
                                                     augment_marks::kResizedSide)
                                       : Output(ops::Const(scope, sides.least));
  const Output resized = resize_shorter_side(scope, image, side);
  const Output cut = request.training ? random_crop(scope, resized, request.height, request.width)
                                      : central_crop(scope, resized, request.height, request.width);
  const Output result = without_mean(scope, request.training ? random_flip_left_right(scope, cut) : cut, mean);
  return marked(
      result,
      {augment_marks::kVgg, request.training, request.height, request.width, {mean[0], mean[1], mean[2]}, sides.least});
}

// Red, green, blue.
constexpr float kImageNetMean[3] = {123.68f, 116.78f, 103.94f};
// What PVANET's published models subtract.
constexpr float kPvanetMean[3] = {122.7717f, 115.9465f, 102.9801f};
// torchvision's (0.485, 0.456, 0.406) and (0.229, 0.224, 0.225), times 255.
constexpr float kTorchMean[3] = {123.675f, 116.28f, 103.53f};
constexpr float kTorchDeviation[3] = {58.395f, 57.12f, 57.375f};

}  // namespace

Output vgg(const Scope& scope, const Output& image, const Request& request) {
  return crop_of_resized(scope, image, request, kImageNetMean);
}

Output pvanet(const Scope& scope, const Output& image, const Request& request) {
  return crop_of_resized(scope, image, request, kPvanetMean);
}

Output torch(const Scope& scope, const Output& image, const Request& request) {
  return ops::Div(scope, crop_of_resized(scope, image, request, kTorchMean),
                  ops::Const(scope, {kTorchDeviation[0], kTorchDeviation[1], kTorchDeviation[2]}));
}

namespace {

Output cut(const Scope& scope, const Output& input, const Request& request) {
  const Output image = require_channels(scope, input, 3, "vgg, pvanet and torch preprocessing");
  const Sides sides = resize_sides(request);
  const Output side = random_int(scope, ops::Const(scope, sides.least), sides.most + 1);
  return random_crop(scope, resize_shorter_side(scope, image, side), request.height, request.width);
}

}  // namespace

const Parts& vgg_parts() {
  static const Parts parts{
      cut, nullptr, [](const Scope& scope, const Output& image) { return without_mean(scope, image, kImageNetMean); },
      0.5f, 1};
  return parts;
}

const Parts& pvanet_parts() {
  static const Parts parts{
      cut, nullptr, [](const Scope& scope, const Output& image) { return without_mean(scope, image, kPvanetMean); },
      0.5f, 1};
  return parts;
}

const Parts& torch_parts() {
  static const Parts parts{
      cut, nullptr,
      [](const Scope& scope, const Output& image) {
        return Output(ops::Div(scope, without_mean(scope, image, kTorchMean),
                               ops::Const(scope, {kTorchDeviation[0], kTorchDeviation[1], kTorchDeviation[2]})));
      },
      0.5f, 1};
  return parts;
}

}  // namespace mox::preprocess
