// RandAugment (Cubuk et al. 2019) on one float image [height, width, 1 or 3] of 0 to 255, whose sizes are known.
// Private to the engine.
#pragma once

#include <string>
#include <vector>

#include "moxing/export.h"
#include "moxing/scope.h"

namespace mox::preprocess {

// `count` changes, one after the other, each one of the 14, each as likely. `level`: how much, from 0 to 1.
tensorflow::Output randaugment(const Scope& scope, const tensorflow::Output& image, int count, float level);

// The 14 changes, by the paper's names. What has two directions takes the one of `sign`, a float scalar of 1 or -1.
MOX_EXPORT const std::vector<std::string>& randaugment_changes();
MOX_EXPORT tensorflow::Output randaugment_change(const Scope& scope, const tensorflow::Output& image,
                                                 const std::string& change, float level,
                                                 const tensorflow::Output& sign);

}  // namespace mox::preprocess
