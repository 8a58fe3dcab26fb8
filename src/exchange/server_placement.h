// What of a training graph runs on which parameter server.
#pragma once

#include <string>
#include <unordered_map>

#include "devices/device_plan.h"
#include "graph/built_graph.h"
#include "graph/variable_uses.h"

namespace mox {

// variable (its name) -> parameter server; one that is not there stays in the worker's process.
using ServerOfVariable = std::unordered_map<std::string, int>;

// What a worker keeps of its own: state that is made of its gradients before they are joined (residues of dgc, sums of
// batch_gradients). [variable]. `joined`: nodes whose values come from all workers.
std::vector<bool> find_local_variables(const BuiltGraph& graph, const VariableUses& uses,
                                       const std::vector<std::string>& joined);

// All others: largest first, to the server that has the fewest bytes so far. Variables that one operation uses (weights
// and their momentum) stay together; the global step is on server 0. The same in all workers.
ServerOfVariable spread_variables(const BuiltGraph& graph, const VariableUses& uses, const std::vector<bool>& local,
                                  int servers);

// Gives every node of the graph the full name of a device: with a variable go its reads, its updates, what is colocated
// with it, and what is computed of joined gradients on its server alone; the rest is this worker's. Nodes that name a
// process already stay there.
void place_on_servers(BuiltGraph* graph, const ServerOfVariable& servers, const DevicePlan& plan);

}  // namespace mox
