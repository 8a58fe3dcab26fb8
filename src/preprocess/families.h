// The preprocessing families, one function each. Private to the engine; a new one is a file and a line in families.cc.
#pragma once

#include "moxing/preprocessing.h"

namespace mox::preprocess {

struct Request {
  bool training;
  int height, width;  // of the output, pixels
  AugmentationOptions options;
};

using Family = tensorflow::Output (*)(const Scope&, const tensorflow::Output& image, const Request&);

tensorflow::Output cifarnet(const Scope& scope, const tensorflow::Output& image, const Request& request);
tensorflow::Output inception(const Scope& scope, const tensorflow::Output& image, const Request& request);
tensorflow::Output lenet(const Scope& scope, const tensorflow::Output& image, const Request& request);
tensorflow::Output pvanet(const Scope& scope, const tensorflow::Output& image, const Request& request);
tensorflow::Output vgg(const Scope& scope, const tensorflow::Output& image, const Request& request);

}  // namespace mox::preprocess
