#include "passes/late_weight_decay.h"

#include <algorithm>
#include <unordered_map>

#include "graph/node_defs.h"

namespace mox {

namespace tf = tensorflow;

namespace {

std::unordered_map<std::string, int> count_uses(const tf::GraphDef& graph) {
  std::unordered_map<std::string, int> uses;
  for (const tf::NodeDef& node : graph.node())
    for (const std::string& input : node.input()) ++uses[node_of(input)];
  return uses;
}

}  // namespace

int delay_weight_decay(tf::GraphDef* graph) {
  const NodeIndex index = index_nodes(*graph);
  const auto uses = count_uses(*graph);
  // A product that nothing else uses: then what it is added to cannot depend on it, and the wait makes no cycle.
  const auto is_decay = [&](const std::string& tensor) {
    const auto found = index.find(node_of(tensor));
    return found != index.end() && found->second->op() == "Mul" && uses.at(found->first) == 1 &&
           std::any_of(found->second->input().begin(), found->second->input().end(),
                       [&](const std::string& input) { return find_variable_read(index, input) != nullptr; });
  };
  int count = 0;
  for (tf::NodeDef& sum : *graph->mutable_node()) {
    if (sum.op() != "AddN" || sum.input_size() != 2) continue;
    const bool decays[] = {is_decay(sum.input(0)), is_decay(sum.input(1))};
    if (decays[0] == decays[1]) continue;
    const std::string other = node_of(sum.input(decays[0] ? 1 : 0));
    const_cast<tf::NodeDef*>(index.at(node_of(sum.input(decays[0] ? 0 : 1))))->add_input("^" + other);
    ++count;
  }
  return count;
}

}  // namespace mox
