#include "graph/built_graph.h"

#include "moxing/error.h"

namespace mox {

const VariableInfo& global_step_variable(const BuiltGraph& graph) {
  for (const VariableInfo& variable : graph.variables)
    if (variable.name == graph.global_step) return variable;
  throw Error("the graph has no variable '" + graph.global_step + "'");
}

std::vector<std::string> training_iterators(const BuiltGraph& graph) {
  std::vector<std::string> found;
  for (const tensorflow::NodeDef& node : graph.graph.node())
    if (node.op() == "MakeIterator" && (!graph.inter || node.name() != graph.inter->restart_input))
      found.push_back(node.name());
  return found;
}

}  // namespace mox
