// The options of an augmentation that are the same for all families: crop_scale, hflip, color_jitter, ….
#pragma once

#include <string>

#include "preprocess/families.h"

namespace mox::preprocess {

// InvalidArgumentError, with the option and its value, for what does not fit or not together. `parts`: nullptr for a
// preprocessing of a plugin, where most of them have no meaning. `name`: of the network, for errors.
void check_recipe(const AugmentationOptions& options, const Parts* parts, const std::string& name);

// TRAIN with the options: `family`'s own, or made of `parts`.
tensorflow::Output train_by_recipe(const Scope& scope, const tensorflow::Output& image, const Request& request,
                                   const PreprocessingBuilder& family, const Parts* parts);

}  // namespace mox::preprocess
