#include "passes/node_uses.h"

#include <algorithm>

#include "graph/node_defs.h"
#include "passes/joined.h"

namespace mox {

NodeUses::NodeUses(tensorflow::GraphDef* graph) {
  for (tensorflow::NodeDef& node : *graph->mutable_node()) {
    nodes_[node.name()] = &node;
    for (int i = 0; i < node.input_size(); ++i) uses_[node_of(node.input(i))].push_back({&node, i});
  }
}

const std::vector<NodeUse>& NodeUses::of(const tensorflow::NodeDef& node) const {
  static const std::vector<NodeUse> kNone;
  const auto found = uses_.find(node.name());
  return found == uses_.end() ? kNone : found->second;
}

tensorflow::NodeDef* NodeUses::node(const std::string& name) const {
  const auto found = nodes_.find(name);
  return found == nodes_.end() ? nullptr : found->second;
}

bool NodeUses::is_left_behind(const tensorflow::NodeDef& node) const {
  return !joined_by(node).empty() &&
         std::ranges::all_of(of(node), [&](const NodeUse& use) { return is_left_behind(*use.node); });
}

}  // namespace mox
