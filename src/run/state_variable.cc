#include "run/state_variable.h"

#include "graph/node_defs.h"

namespace mox {

std::string add_state_variable(BuiltGraph* graph, const std::string& name, const tensorflow::Tensor& initial) {
  NodeMaker(&graph->graph, name, "VarHandleOp")
      .attr("dtype", initial.dtype())
      .attr("shape", initial.shape())
      .attr("shared_name", name)
      .attr("container", std::string());
  const std::string value = add_const(&graph->graph, name + "/initial_value", initial);
  const std::string assign = name + "/Assign";
  NodeMaker(&graph->graph, assign, "AssignVariableOp").input(name).input(value).attr("dtype", initial.dtype());
  graph->variables.push_back({name, name, assign, initial.dtype(), initial.shape(), false, true});
  return name;
}

}  // namespace mox
