// The preprocessing families, one function each. Private to the engine; a new one is a file and a line in families.cc.
#pragma once

#include "moxing/preprocessing.h"

namespace mox::preprocess {

using Request = PreprocessingRequest;

using Family = tensorflow::Output(const Scope& scope, const tensorflow::Output& image, const Request& request);

Family cifarnet, inception, lenet, pvanet, torch, vgg;

}  // namespace mox::preprocess
