// cifarnet: small images, padded and cropped, brightness and contrast distorted, each image standardised.
#include "moxing/error.h"
#include "preprocess/families.h"
#include "preprocess/image_ops.h"

namespace mox::preprocess {

namespace ops = tensorflow::ops;

namespace {

Output padded(const Scope& scope, const Output& image, int padding) {
  if (padding < 0)
    throw InvalidArgumentError("cifarnet preprocessing: padding is " + std::to_string(padding) +
                               ", expected 0 or more");
  if (padding == 0) return image;
  return ops::Pad(scope, image, ops::Const(scope, {padding, padding, padding, padding, 0, 0}, {3, 2}));
}

}  // namespace

Output cifarnet(const Scope& scope, const Output& input, const Request& request) {
  Output image = to_float(scope, input);
  if (request.training) {
    image = random_crop(scope, padded(scope, image, request.options.padding), request.height, request.width);
    image = random_flip_left_right(scope, image);
    image = random_brightness(scope, image, 63.f);
    image = random_contrast(scope, image, 0.2f, 1.8f);
  } else {
    image = resize_image_with_crop_or_pad(scope, image, request.height, request.width);
  }
  return per_image_standardization(scope, image);
}

const Parts& cifarnet_parts() {
  static const Parts parts{[](const Scope& scope, const Output& image, const Request& request) {
                             return random_crop(scope, padded(scope, to_float(scope, image), request.options.padding),
                                                request.height, request.width);
                           },
                           [](const Scope& scope, const Output& image, const Request&) {
                             return random_contrast(scope, random_brightness(scope, image, 63.f), 0.2f, 1.8f);
                           },
                           per_image_standardization, 0.5f, 1};
  return parts;
}

}  // namespace mox::preprocess
