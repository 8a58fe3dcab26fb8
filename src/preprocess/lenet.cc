// lenet: crop or pad to the size, values from -1 to 1.
#include "preprocess/families.h"
#include "preprocess/image_ops.h"

namespace mox::preprocess {

namespace ops = tensorflow::ops;

tensorflow::Output lenet(const Scope& scope, const tensorflow::Output& image, const Request& request) {
  const Output fitted = resize_image_with_crop_or_pad(scope, to_float(scope, image), request.height, request.width);
  return ops::Div(scope, ops::Subtract(scope, fitted, 128.f), 128.f);
}

const Parts& lenet_parts() {
  static const Parts parts{[](const Scope& scope, const Output& image, const Request& request) {
                             return resize_image_with_crop_or_pad(scope, to_float(scope, image), request.height,
                                                                  request.width);
                           },
                           nullptr,
                           [](const Scope& scope, const Output& image) {
                             return Output(ops::Div(scope, ops::Subtract(scope, image, 128.f), 128.f));
                           },
                           0, 1};
  return parts;
}

}  // namespace mox::preprocess
