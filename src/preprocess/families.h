// The preprocessing families, one function each. Private to the engine; a new one is a file and a line in families.cc.
#pragma once

#include "moxing/preprocessing.h"

namespace mox::preprocess {

using Request = PreprocessingRequest;

using Family = tensorflow::Output(const Scope& scope, const tensorflow::Output& image, const Request& request);

Family cifarnet, inception, lenet, pvanet, torch, vgg;

// What a family's TRAIN is made of, for recipes that change a part (recipe.h).
struct Parts {
  // A random part of the image, of the request's size, not mirrored: float, 0 to 255.
  tensorflow::Output (*cut)(const Scope& scope, const tensorflow::Output& image, const Request& request);
  // Random colours, 0 to 255; nullptr: it has none.
  tensorflow::Output (*colors)(const Scope& scope, const tensorflow::Output& image, const Request& request);
  // 0 to 255 -> what the network takes.
  tensorflow::Output (*values)(const Scope& scope, const tensorflow::Output& image);
  float hflip;         // the probability of a mirror image
  float float_factor;  // images of floats times it are 0 to 255
};

const Parts& cifarnet_parts();
const Parts& inception_parts();
const Parts& lenet_parts();
const Parts& pvanet_parts();
const Parts& torch_parts();
const Parts& vgg_parts();

}  // namespace mox::preprocess
