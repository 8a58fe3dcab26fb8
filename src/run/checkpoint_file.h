// The files of one checkpoint, in TensorFlow's V2 format.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "moxing/export.h"
#include "tensorflow/core/framework/tensor.h"

namespace mox {

using NamedValues = std::vector<std::pair<std::string, tensorflow::Tensor>>;

// Writes PREFIX.data-00000-of-00001 and PREFIX.index: what TensorFlow's own BundleWriter writes, in less time. It
// appears whole or not at all. Each tensor is let go of as soon as it is written: who updates it after that need not
// copy it.
MOX_EXPORT void write_checkpoint(const std::string& prefix, NamedValues values);

}  // namespace mox
