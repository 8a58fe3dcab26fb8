// What is known of a convolution's filter before a step runs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "graph/node_defs.h"

namespace mox {

// Of a filter, [height, width, input channels, output channels], or of a tensor with its sizes: a variable's, or a
// constant's, also behind casts and folded batch norm. Empty: not known.
std::vector<int64_t> shape_of_filter(const NodeIndex& index, const std::string& tensor);

}  // namespace mox
