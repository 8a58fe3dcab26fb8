// What a step would do more if it fetched more.
#pragma once

#include <string>
#include <vector>

#include "moxing/export.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace mox {

// Whether fetching `more` (tensors) beside `computed` (tensors and operations) is next to nothing: a few operations
// more that look at numbers, such as means, comparisons and scalar summaries; none with an effect, a state or a body.
MOX_EXPORT bool adds_little(const tensorflow::GraphDef& graph, const std::vector<std::string>& computed,
                            const std::vector<std::string>& more);

}  // namespace mox
