#include "graph/built_graph.h"

namespace mox {

std::vector<std::string> training_iterators(const BuiltGraph& graph) {
  std::vector<std::string> found;
  for (const tensorflow::NodeDef& node : graph.graph.node())
    if (node.op() == "MakeIterator" && (!graph.inter || node.name() != graph.inter->restart_input))
      found.push_back(node.name());
  return found;
}

}  // namespace mox
