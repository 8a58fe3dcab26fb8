// What a graph's operations need, and what needs them, by name.
#pragma once

#include <string>
#include <unordered_set>
#include <vector>

#include "graph/node_defs.h"

namespace mox {

using Names = std::unordered_set<std::string>;

// The operation changes a variable.
bool updates_variable(const tensorflow::NodeDef& node);
// The operations of `from` (tensors or operations) and what they need, but for `stop` and what is needed there alone.
Names ancestors(const NodeIndex& index, const std::vector<std::string>& from, const Names& stop = {});

// What is dead when `from` is: all that follows, until a Merge, which is alive with any of its inputs.
Names followers(const tensorflow::GraphDef& graph, const std::vector<std::string>& from);

}  // namespace mox
