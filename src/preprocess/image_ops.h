// Graph code for one image [height, width, channels], whose sizes may be unknown. The results are those of tf.image's
// functions of the same names. Private to the engine.
#pragma once

#include "moxing/scope.h"

namespace mox::preprocess {

using tensorflow::Output;

Output to_float(const Scope& scope, const Output& image);

// A side's length at run time, an int32 scalar.
struct Size {
  Output height, width;
};
Size size_of(const Scope& scope, const Output& image);

// The number of channels, -1 when it is not known before the image is.
int static_channels(const Scope& scope, const Output& image);

// The box [offset, offset + target) of the image; offsets are int32 scalars. The static shape is known afterwards.
Output crop(const Scope& scope, const Output& image, const Output& offset_height, const Output& offset_width,
            int height, int width, int channels);
// Cuts evenly what is too much, pads evenly with zeros what is missing.
Output resize_image_with_crop_or_pad(const Scope& scope, const Output& image, int height, int width);

}  // namespace mox::preprocess
