// Nodes that both parts of the exchange over parameter servers make: what a step does (parameter_server_exchange.cc),
// and what lies where (parameter_server_place.cc).
#pragma once

#include <string>

#include "graph/node_defs.h"

namespace mox {

constexpr char kLocalStep[] = "mox_ps/local_step";  // the global step when this worker read the variables

inline std::string numbered(const char* what, size_t number) {
  return std::string("mox_ps/") + what + "_" + std::to_string(number);
}

inline std::string add_assign(tensorflow::GraphDef* graph, const std::string& name, const std::string& variable,
                              const std::string& value, tensorflow::DataType dtype, const std::string& device,
                              const std::string& after = "") {
  NodeMaker assign(graph, name, "AssignVariableOp");
  assign.input(variable).input(value).attr("dtype", dtype).device(device);
  if (!after.empty()) assign.control(after);
  return name;
}

}  // namespace mox
