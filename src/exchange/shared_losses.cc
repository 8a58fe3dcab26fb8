#include "exchange/shared_losses.h"

#include <string>
#include <unordered_map>

#include "graph/node_defs.h"

namespace mox {

namespace tf = tensorflow;

int share_losses_of_weights(tf::GraphDef* graph) {
  const NodeIndex index = index_nodes(*graph);
  std::unordered_map<std::string, std::string> first, replaced;  // variable -> its term; a term -> the first
  for (const tf::NodeDef& node : graph->node()) {
    // What waits for something is not the same at any time.
    if (node.op() != "L2Loss" || node.input_size() != 1) continue;
    const tf::NodeDef* read = find_variable_read(index, node.input(0));
    if (!read || read->input_size() != 1) continue;
    const auto [found, is_new] = first.try_emplace(node_of(read->input(0)), node.name());
    if (!is_new) replaced[node.name()] = found->second;
  }
  if (replaced.empty()) return 0;
  for (tf::NodeDef& node : *graph->mutable_node())
    for (std::string& input : *node.mutable_input()) {
      const auto found = replaced.find(node_of(input));
      if (found != replaced.end() && !parse_tensor(input).is_control()) input = found->second;
    }
  return static_cast<int>(replaced.size());
}

}  // namespace mox
