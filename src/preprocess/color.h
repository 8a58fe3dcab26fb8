// Changes of an image's colours as torchvision and PIL make them: float images [height, width, 1 or 3] of 0 to 255,
// which they stay in. Private to the engine.
#pragma once

#include "moxing/scope.h"

namespace mox::preprocess {

// The brightness of each pixel (ITU-R 601), [height, width, 1]; of one channel itself.
tensorflow::Output grey_of(const Scope& scope, const tensorflow::Output& image);
// clip(factor * image + (1 - factor) * other); `factor`: a float scalar.
tensorflow::Output blended(const Scope& scope, const tensorflow::Output& image, const tensorflow::Output& other,
                           const tensorflow::Output& factor);

// Towards black, the mean grey, each pixel's grey (or away from them, with factors above 1).
tensorflow::Output adjust_brightness(const Scope& scope, const tensorflow::Output& image,
                                     const tensorflow::Output& factor);
tensorflow::Output adjust_contrast(const Scope& scope, const tensorflow::Output& image,
                                   const tensorflow::Output& factor);
tensorflow::Output adjust_saturation(const Scope& scope, const tensorflow::Output& image,
                                     const tensorflow::Output& factor);
// By a part of a turn. Grey has no hue.
tensorflow::Output adjust_hue(const Scope& scope, const tensorflow::Output& image, const tensorflow::Output& turn);

}  // namespace mox::preprocess
