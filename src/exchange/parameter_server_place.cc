// What lies where: variables on servers or in a worker's memory, and what is left to the chief.
#include <algorithm>

#include "exchange/packing.h"
#include "exchange/parameter_server_exchange.h"
#include "exchange/parameter_server_nodes.h"
#include "graph/average_name.h"
#include "graph/node_defs.h"

namespace mox {

namespace tf = tensorflow;

namespace {

std::string copy_of(const VariableInfo& variable) { return "mox_ps/copy/" + variable.name; }

}  // namespace

void ParameterServerExchange::place(BuiltGraph* graph) {
  const std::vector<bool> local = find_local_variables(*graph, VariableUses(*graph), gates());
  for (size_t i = 0; i < graph->variables.size(); ++i) {
    if (local[i]) continue;
    // The engine's own; an average lies beside its variable.
    const auto averaged = servers_.find(averaged_variable(graph->variables[i].name));
    servers_.try_emplace(graph->variables[i].name, averaged == servers_.end() ? 0 : averaged->second);
  }
  leave_to_chief(graph);
  if (options_.copies || options_.tries_copies) use_copies(graph);
  place_on_servers(graph, servers_, options_.devices);
  pack_reads(graph, options_.devices);
  pack_updates(graph, options_.devices);
  if (!is_chief()) take_local_state_of_chief(graph);
}

void ParameterServerExchange::leave_to_chief(BuiltGraph* graph) {
  tf::GraphDef* def = &graph->graph;
  const VariableUses uses(*graph);
  std::vector<int> writers, slots;
  for (int i = 0; i < uses.size(); ++i) {
    const bool remote = std::any_of(uses.of(i).begin(), uses.of(i).end(),
                                    [&](int v) { return servers_.count(graph->variables[v].name) > 0; });
    if (!remote || !uses.writes(i)) continue;
    writers.push_back(i);
    if (!options_.sync && def->node(i).attr().count("use_locking"))
      tf::SetAttrValue(true, &(*def->mutable_node(i)->mutable_attr())["use_locking"]);
  }
  if (is_chief()) return;
  for (const GradientSlot& slot : graph->gradients) slots.push_back(uses.node(slot.slot));
  for (const std::string& gate : gates()) slots.push_back(uses.node(gate));
  const std::vector<bool> writes = uses.descendants(writers);
  const std::vector<bool> applies = uses.descendants(slots);
  std::erase_if(graph->train_ops, [&](const std::string& op) {
    const int node = uses.node(op);
    return node >= 0 && writes[node] && (options_.sync || !applies[node]);
  });
}

void ParameterServerExchange::use_copies(BuiltGraph* graph) {
  tf::GraphDef* def = &graph->graph;
  const VariableUses uses(*graph);
  std::vector<int> slots;
  for (const GradientSlot& slot : graph->gradients) slots.push_back(uses.node(slot.slot));
  const std::vector<bool> applies = uses.descendants(slots);
  StepVariant variant{"distributed_replicated", {}, {}, {}, {}};
  for (size_t v = 0; v < graph->variables.size(); ++v) {
    const VariableInfo& variable = graph->variables[v];
    if (!variable.trainable || !servers_.count(variable.name)) continue;
    for (const int reader : uses.readers(uses.node(variable.handle))) {
      const tf::NodeDef& node = def->node(reader);
      if (applies[reader] || uses.writes(reader) || node_of(node.input(0)) != variable.handle) continue;
      if (node.op() == "ReadVariableOp" || node.op() == "ResourceGather")
        read_copy(graph, reader, copy_of(variable), &variant);
    }
    add_copy(graph, variable, &variant);
  }
  if (!options_.copies && !variant.replaces.empty())
    graph->variants = {{"parameter_server", {}, {}, {}, {}}, std::move(variant)};
}

// Where copies are tried the variant has a node beside this one.
void ParameterServerExchange::read_copy(BuiltGraph* graph, int reader, const std::string& copy,
                                        StepVariant* variant) const {
  tf::GraphDef* def = &graph->graph;
  if (options_.copies) return def->mutable_node(reader)->set_input(0, copy);
  tf::NodeDef other = def->node(reader);
  variant->replaces[other.name()] = other.name() + "/of_copy";
  other.set_name(other.name() + "/of_copy");
  other.set_input(0, copy);
  other.mutable_attr()->erase("_class");
  *def->add_node() = std::move(other);
}

// Renewed when all updates are done: at the chief after its own, at the others with the token.
void ParameterServerExchange::add_copy(BuiltGraph* graph, const VariableInfo& variable, StepVariant* variant) {
  tf::GraphDef* def = &graph->graph;
  const std::string name = copy_of(variable), here = options_.devices.here("");
  const std::string server = options_.devices.server(servers_.at(variable.name));
  const std::string end = std::string(is_chief() ? kWholeState : kLocalStep) + (is_chief() ? "/again" : "/next");
  NodeMaker(def, name, "VarHandleOp")
      .attr("dtype", variable.dtype)
      .attr("shape", variable.shape)
      .attr("shared_name", name)
      .attr("container", std::string())
      .device(here);
  for (const char* when : {"/first", "/next"}) {
    NodeMaker read(def, name + when + "/read", "ReadVariableOp");
    read.input(variable.handle).attr("dtype", variable.dtype).device(server);
    if (when == std::string("/next")) read.control(end);
    add_assign(def, name + when, name, read.name(), variable.dtype, here);
  }
  (options_.copies ? graph->train_ops : variant->targets).push_back(name + "/next");
  (options_.copies ? starters_ : variant->enter).push_back(name + "/first");
}

void ParameterServerExchange::take_local_state_of_chief(BuiltGraph* graph) {
  tf::GraphDef* def = &graph->graph;
  const std::string nothing = "mox_ps/chief_initializes";
  NodeMaker(def, nothing, "NoOp").device(options_.devices.here(""));
  const VariableUses uses(*graph);
  std::vector<VariableInfo*> local;
  for (VariableInfo& variable : graph->variables) {
    if (servers_.count(variable.name))
      variable.initializer = nothing;
    else
      local.push_back(&variable);
  }
  for (VariableInfo* variable : local) {
    const std::string name = "mox_ps/of_chief/" + variable->name;
    tf::NodeDef handle = def->node(uses.node(variable->handle));
    const std::string here = handle.device(), chief = device_of_task(task_name("worker", 0), here);
    handle.set_name(name);
    handle.set_device(chief);
    *def->add_node() = std::move(handle);
    NodeMaker(def, name + "/read", "ReadVariableOp").input(name).attr("dtype", variable->dtype).device(chief);
    variable->initializer = add_assign(def, name + "/take", variable->handle, name + "/read", variable->dtype, here);
  }
}

}  // namespace mox
