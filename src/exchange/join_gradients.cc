#include "exchange/join_gradients.h"

#include <unordered_map>

#include "graph/graph_state.h"
#include "graph/node_defs.h"
#include "graph/scalar_const.h"
#include "moxing/error.h"

namespace mox {

namespace tf = tensorflow;

void join_gradients(tf::GraphDef* graph, const std::vector<GradientSlot>& slots, const JoinOptions& options) {
  const double factor = 1.0 / options.num_towers;
  std::unordered_map<std::string, int> position;
  for (int i = 0; i < graph->node_size(); ++i) position[graph->node(i).name()] = i;
  for (const GradientSlot& slot : slots) {
    auto found = position.find(slot.slot);
    if (found == position.end()) throw Error("the graph has no gradient slot '" + slot.slot + "' for " + slot.variable);
    if (slot.tower_gradients.empty()) throw Error("variable " + slot.variable + " has a slot but no gradient");
    tf::DataType dtype;
    throw_if_error(tf::GetNodeAttr(graph->node(found->second), "T", &dtype),
                   "joining the gradients of " + slot.variable);
    const std::string device = graph->node(found->second).device();
    std::string joined = slot.tower_gradients[0];
    if (slot.tower_gradients.size() > 1) {
      NodeMaker sum(graph, slot.slot + "/sum", "AddN");
      for (const std::string& gradient : slot.tower_gradients) sum.input(gradient);
      sum.attr("N", static_cast<int64_t>(slot.tower_gradients.size())).attr("T", dtype).device(device);
      joined = sum.name();
    }
    if (factor != 1.0) {
      const std::string scale =
          add_const(graph, slot.slot + "/factor", scalar_of(dtype, factor, "gradients to be joined"));
      NodeMaker(graph, slot.slot + "/scaled", "Mul").input(joined).input(scale).attr("T", dtype).device(device);
      joined = slot.slot + "/scaled";
    }
    graph->mutable_node(found->second)->set_input(0, joined);
  }
}

}  // namespace mox
