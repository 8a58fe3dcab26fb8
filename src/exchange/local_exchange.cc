#include "exchange/local_exchange.h"

#include <unordered_map>

#include "graph/graph_state.h"
#include "graph/node_defs.h"
#include "graph/scalar_const.h"
#include "moxing/error.h"

namespace mox {

namespace tf = tensorflow;

namespace {

// The mean over `towers` devices, as a tensor.
std::string add_mean(tf::GraphDef* graph, const GradientSlot& slot, size_t towers, tf::DataType dtype,
                     const std::string& device) {
  std::string joined = slot.tower_gradients[0];
  if (slot.tower_gradients.size() > 1) {
    NodeMaker sum(graph, slot.slot + "/sum", "AddN");
    for (const std::string& gradient : slot.tower_gradients) sum.input(gradient);
    sum.attr("N", static_cast<int64_t>(slot.tower_gradients.size())).attr("T", dtype).device(device);
    joined = sum.name();
  }
  if (towers == 1) return joined;
  const std::string factor =
      add_const(graph, slot.slot + "/factor", scalar_of(dtype, 1.0 / towers, "gradients to be joined"));
  NodeMaker(graph, slot.slot + "/scaled", "Mul").input(joined).input(factor).attr("T", dtype).device(device);
  return slot.slot + "/scaled";
}

}  // namespace

void LocalExchange::join(BuiltGraph* graph) {
  tf::GraphDef* def = &graph->graph;
  std::unordered_map<std::string, int> position;
  for (int i = 0; i < def->node_size(); ++i) position[def->node(i).name()] = i;
  for (const GradientSlot& slot : graph->gradients) {
    const auto found = position.find(slot.slot);
    if (found == position.end()) throw Error("the graph has no gradient slot '" + slot.slot + "' for " + slot.variable);
    if (slot.tower_gradients.empty()) throw Error("variable " + slot.variable + " has a slot but no gradient");
    const tf::NodeDef& node = def->node(found->second);
    tf::DataType dtype;
    throw_if_error(tf::GetNodeAttr(node, "T", &dtype), "joining the gradients of " + slot.variable);
    const std::string mean = add_mean(def, slot, graph->towers.size(), dtype, node.device());
    def->mutable_node(found->second)->set_input(0, mean);
  }
}

}  // namespace mox
