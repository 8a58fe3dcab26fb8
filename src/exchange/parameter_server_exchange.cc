#include "exchange/parameter_server_exchange.h"

#include <algorithm>
#include <map>

#include "exchange/packing.h"
#include "exchange/parameter_server_nodes.h"
#include "graph/graph_state.h"
#include "graph/node_defs.h"
#include "graph/scalar_const.h"

namespace mox {

namespace tf = tensorflow;

namespace {

constexpr char kStart[] = "mox_ps/start";
constexpr char kStep[] = "mox_ps/step";

template <typename T>
tf::Tensor scalar(T value) {
  tf::Tensor t(tf::DataTypeToEnum<T>::v(), {});
  t.scalar<T>()() = value;
  return t;
}

std::string add_variable(tf::GraphDef* graph, const std::string& name, tf::DataType dtype, const std::string& device) {
  NodeMaker(graph, name, "VarHandleOp")
      .attr("dtype", dtype)
      .attr("shape", tf::TensorShape())
      .attr("shared_name", name)
      .attr("container", std::string())
      .device(device);
  return name;
}

}  // namespace

ParameterServerExchange::ParameterServerExchange(const ParameterServerOptions& options)
    : LocalExchange(Sums::kOnHost, options.devices), options_(options) {}

int ParameterServerExchange::needed() const {
  return options_.replicas_to_aggregate > 0 ? options_.replicas_to_aggregate : options_.workers;
}

std::string ParameterServerExchange::add_accumulator(BuiltGraph* graph, const std::string& name,
                                                     const std::string& device) {
  NodeMaker(&graph->graph, name, "MoxGradientMean").attr("shared_name", name).device(device);
  accumulators_.emplace_back(name, device);
  return name;
}

void ParameterServerExchange::add_push(BuiltGraph* graph, const std::string& name, const std::string& value,
                                       tf::DataType dtype, const std::string& device, const std::string& after) {
  NodeMaker push(&graph->graph, name + "/push", "MoxPushGradient");
  push.input(name).input(std::string(kLocalStep) + "/read").input(value).attr("dtype", dtype).device(device);
  if (!after.empty()) push.control(after);
  graph->train_ops.push_back(name + "/push");
}

// After this worker's own push.
std::string ParameterServerExchange::add_take(BuiltGraph* graph, const std::string& name, tf::DataType dtype,
                                              const std::string& push, const std::string& device) {
  const std::string count = add_const(&graph->graph, name + "/needed", scalar<int32_t>(needed()));
  NodeMaker(&graph->graph, name + "/take", "MoxTakeGradient")
      .input(name)
      .input(count)
      .control(push)
      .attr("dtype", dtype)
      .device(device);
  return name + "/take";
}

std::string ParameterServerExchange::add_queue(BuiltGraph* graph, const std::string& name, tf::DataType dtype) {
  NodeMaker(&graph->graph, name, "FIFOQueueV2")
      .attr("component_types", tf::DataTypeVector{dtype})
      .attr("shapes", std::vector<tf::TensorShape>{tf::TensorShape()})
      .attr("capacity", int64_t{-1})
      .attr("shared_name", name)
      .device(server_0());
  return name;
}

void ParameterServerExchange::add_local_step(BuiltGraph* graph) {
  const std::string here = options_.devices.here("");
  add_variable(&graph->graph, kLocalStep, tf::DT_INT64, here);
  NodeMaker(&graph->graph, std::string(kLocalStep) + "/read", "ReadVariableOp")
      .input(kLocalStep)
      .attr("dtype", tf::DT_INT64)
      .device(here);
}

void ParameterServerExchange::read_global_step(BuiltGraph* graph, const std::string& name, const std::string& after) {
  NodeMaker read(&graph->graph, name, "ReadVariableOp");
  read.input(global_step_variable(*graph).handle).attr("dtype", tf::DT_INT64).device(server_0());
  if (!after.empty()) read.control(after);
}

// The gate: the chief takes everybody's word, and tells all.
std::string ParameterServerExchange::all_finite(BuiltGraph* graph, const std::string& finite) {
  if (!options_.sync) {
    gate_ = node_of(finite);  // each decides for itself
    return finite;
  }
  tf::GraphDef* def = &graph->graph;
  add_local_step(graph);
  const std::string name = "mox_ps/gate", here = options_.devices.here("");
  add_accumulator(graph, name, server_0());
  NodeMaker(def, name + "/not", "LogicalNot").input(finite).device(here);
  const std::string own = add_cast(def, name + "/own", name + "/not", tf::DT_BOOL, tf::DT_FLOAT, here);
  add_push(graph, name, own, tf::DT_FLOAT, server_0());
  note_arrival(graph, name + "/not");
  gate_ = name + "/finite";
  if (!is_chief()) {
    const std::string queue = add_queue(graph, numbered("verdict", options_.task), tf::DT_BOOL);
    NodeMaker(def, gate_, "QueueDequeueV2")
        .input(queue)
        .attr("component_types", tf::DataTypeVector{tf::DT_BOOL})
        .device(server_0());
    return gate_;
  }
  arrived_ = add_take(graph, name, tf::DT_FLOAT, name + "/push", server_0());
  const std::string none = add_const(def, name + "/none", scalar_of(tf::DT_FLOAT, 0, "what is not finite"));
  NodeMaker(def, gate_, "Equal").input(arrived_).input(none).attr("T", tf::DT_FLOAT).device(server_0());
  for (int worker = 1; worker < options_.workers; ++worker) {
    const std::string queue = add_queue(graph, numbered("verdict", worker), tf::DT_BOOL);
    NodeMaker(def, queue + "/put", "QueueEnqueueV2")
        .input(queue)
        .input(gate_)
        .attr("Tcomponents", tf::DataTypeVector{tf::DT_BOOL})
        .device(server_0());
    graph->train_ops.push_back(queue + "/put");
  }
  return gate_;
}

// Without a gate: whoever has computed all its gradients says so. Not the pushes of the gradients themselves: those of
// some steps are dead (batch_gradients), and what waits for them is, too.
void ParameterServerExchange::wait_for_all(BuiltGraph* graph) {
  if (!gate_.empty()) return;
  tf::GraphDef* def = &graph->graph;
  const std::string name = "mox_ps/arrived";
  NodeMaker computed(def, name + "/computed", "NoOp");
  for (const std::string& gradient : graph->scaled_gradients.gradients) computed.control(node_of(gradient));
  computed.device(options_.devices.here(""));
  add_accumulator(graph, name, server_0());
  const std::string one = add_const(def, name + "/one", scalar_of(tf::DT_FLOAT, 1, "a sign"));
  add_push(graph, name, one, tf::DT_FLOAT, server_0(), name + "/computed");
  note_arrival(graph, name + "/computed");
  if (is_chief()) arrived_ = add_take(graph, name, tf::DT_FLOAT, name + "/push", server_0());
}

// For who asks whom the others wait for.
void ParameterServerExchange::note_arrival(BuiltGraph* graph, const std::string& after) {
  const std::string name = arrival_of_worker(options_.task);
  add_variable(&graph->graph, name, tf::DT_INT64, server_0());
  graph->train_ops.push_back(add_assign(&graph->graph, name + "/note", name, std::string(kLocalStep) + "/read",
                                        tf::DT_INT64, server_0(), after));
  const std::string none = add_const(&graph->graph, name + "/none", scalar<int64_t>(-1));
  add_assign(&graph->graph, name + "/first", name, none, tf::DT_INT64, server_0());
}

// The mean over the workers of `tensor`, which all push to an accumulator: the chief's node that has it, "" elsewhere.
std::string ParameterServerExchange::add_exchange(BuiltGraph* graph, const std::string& name, std::string tensor,
                                                  tf::DataType dtype, const std::string& here,
                                                  const std::string& server) {
  tf::GraphDef* def = &graph->graph;
  add_accumulator(graph, name, server);
  const auto hand_over = [&](const std::string& value, tf::DataType type) {
    NodeMaker(def, name + "/handed", "MoxHandOver").input(value).attr("dtype", type).device(here);
    return name + "/handed";
  };
  if (options_.bfloat16_gradients && dtype == tf::DT_FLOAT) {
    const std::string half = add_cast(def, name + "/half", tensor, dtype, tf::DT_BFLOAT16, here);
    tensor = add_cast(def, name + "/whole", hand_over(half, tf::DT_BFLOAT16), tf::DT_BFLOAT16, dtype, server);
  } else {
    tensor = hand_over(tensor, dtype);
  }
  add_push(graph, name, tensor, dtype, server);
  return is_chief() ? add_take(graph, name, dtype, name + "/push", server) : "";
}

void ParameterServerExchange::fill_slot(BuiltGraph* graph, int slot, const std::string& joined,
                                        const std::string& server) {
  tf::NodeDef* node = graph->graph.mutable_node(slot);
  node->set_input(0, joined);
  node->add_input(std::string("^") + kWholeState + "/broken");
  node->set_device(server);
}

void ParameterServerExchange::join_slots(BuiltGraph* graph) {
  tf::GraphDef* def = &graph->graph;
  const VariableUses uses(*graph);
  std::unordered_map<std::string, const VariableInfo*> variables;
  for (const VariableInfo& variable : graph->variables) variables[variable.name] = &variable;
  // Of one server and one loss: gradients of another optimizer may be dead in steps in which these are not.
  std::map<std::pair<int, int>, std::vector<size_t>> small;
  for (size_t i = 0; i < graph->gradients.size(); ++i) {
    const GradientSlot& gradient = graph->gradients[i];
    const int position = uses.node(gradient.slot), number = servers_.at(gradient.variable);
    const std::string mean = def->node(position).input(0), place = def->node(position).device();
    tf::DataType dtype;
    throw_if_error(tf::GetNodeAttr(def->node(position), "T", &dtype), "joining the gradients of " + gradient.variable);
    const tf::TensorShape& shape = variables.at(gradient.variable)->shape;
    if (dtype == tf::DT_FLOAT && is_packed(shape.num_elements() * static_cast<int64_t>(sizeof(float)))) {
      small[{number, gradient.loss}].push_back(i);
      continue;
    }
    const tf::DataType sent = dtype == tf::DT_DOUBLE ? dtype : tf::DT_FLOAT;
    const std::string name = numbered("gradient", i), server = options_.devices.server(number);
    const std::string here = options_.devices.here(place);
    const std::string own = add_cast(def, name + "/sent", mean, dtype, sent, here);
    const std::string taken = add_exchange(graph, name, own, sent, here, server);
    if (is_chief()) fill_slot(graph, position, add_cast(def, name + "/joined", taken, sent, dtype, server), server);
  }
  for (const auto& [place, gradients] : small) {
    std::vector<int> slots;
    std::vector<std::string> means;
    std::vector<tf::TensorShape> shapes;
    for (const size_t i : gradients) {
      slots.push_back(uses.node(graph->gradients[i].slot));
      means.push_back(def->node(slots.back()).input(0));
      shapes.push_back(variables.at(graph->gradients[i].variable)->shape);
    }
    const std::string name = numbered("gradient", gradients[0]), server = options_.devices.server(place.first);
    const std::string here = options_.devices.here(def->node(slots[0]).device());
    const std::string own = add_pack(def, name + "/sent", means, shapes, tf::DT_FLOAT, here);
    const std::string taken = add_exchange(graph, name, own, tf::DT_FLOAT, here, server);
    if (!is_chief()) continue;
    const auto joined = add_unpack(def, name + "/joined", taken, shapes, tf::DT_FLOAT, server);
    for (size_t k = 0; k < slots.size(); ++k) fill_slot(graph, slots[k], joined[k], server);
  }
}

void ParameterServerExchange::join(BuiltGraph* graph) {
  LocalExchange::join(graph);
  {
    const VariableUses uses(*graph);
    servers_ = spread_variables(*graph, uses, find_local_variables(*graph, uses, gates()), options_.devices.servers());
  }
  if (!options_.sync) return add_staleness(graph);
  if (gate_.empty()) add_local_step(graph);
  wait_for_all(graph);
  add_whole_state(graph);
  join_slots(graph);
  is_chief() ? end_step_of_chief(graph) : end_step_of_other(graph);
  start(graph);
}

void ParameterServerExchange::add_whole_state(BuiltGraph* graph) {
  tf::GraphDef* def = &graph->graph;
  add_variable(def, kWholeState, tf::DT_BOOL, server_0());
  NodeMaker(def, kReadWholeState, "ReadVariableOp").input(kWholeState).attr("dtype", tf::DT_BOOL).device(server_0());
  const std::string yes = add_const(def, std::string(kWholeState) + "/yes", scalar(true));
  const std::string no = add_const(def, std::string(kWholeState) + "/no", scalar(false));
  if (!is_chief()) return;
  add_assign(def, std::string(kWholeState) + "/broken", kWholeState, no, tf::DT_BOOL, server_0(), arrived_);
  add_assign(def, std::string(kWholeState) + "/again", kWholeState, yes, tf::DT_BOOL, server_0(), graph->increment);
  add_assign(def, std::string(kWholeState) + "/first", kWholeState, yes, tf::DT_BOOL, server_0());
  // Also in a step whose gradients are all dead (batch_gradients): it is a step of all.
  for (tf::NodeDef& node : *def->mutable_node())
    if (node.name() == graph->increment) node.add_input(std::string("^") + kWholeState + "/broken");
}

// The increment is alive in every step.
void ParameterServerExchange::end_step_of_chief(BuiltGraph* graph) {
  tf::GraphDef* def = &graph->graph;
  read_global_step(graph, kStep, std::string(kWholeState) + "/again");
  for (int worker = 1; worker < options_.workers; ++worker) {
    const std::string queue = add_queue(graph, numbered("token", worker), tf::DT_INT64);
    NodeMaker(def, queue + "/put", "QueueEnqueueV2")
        .input(queue)
        .input(kStep)
        .attr("Tcomponents", tf::DataTypeVector{tf::DT_INT64})
        .device(server_0());
    graph->train_ops.push_back(queue + "/put");
  }
  graph->train_ops.push_back(add_assign(def, std::string(kLocalStep) + "/next", kLocalStep, kStep, tf::DT_INT64,
                                        options_.devices.here(""), std::string(kLocalStep) + "/read"));
}

// All tokens that are there, and at least one: who was slow goes on with the newest variables, not with its old tokens.
void ParameterServerExchange::end_step_of_other(BuiltGraph* graph) {
  tf::GraphDef* def = &graph->graph;
  const std::string queue = add_queue(graph, numbered("token", options_.task), tf::DT_INT64);
  const std::string device = server_0(), one = add_const(def, queue + "/one", scalar<int32_t>(1));
  NodeMaker(def, queue + "/size", "QueueSizeV2").input(queue).device(device);
  NodeMaker(def, queue + "/count", "Maximum").input(queue + "/size").input(one).attr("T", tf::DT_INT32).device(device);
  NodeMaker(def, queue + "/get", "QueueDequeueManyV2")
      .input(queue)
      .input(queue + "/count")
      .attr("component_types", tf::DataTypeVector{tf::DT_INT64})
      .device(device);
  const std::string axis = add_const(def, queue + "/axis", scalar<int32_t>(0));
  NodeMaker(def, queue + "/last", "Max")
      .input(queue + "/get")
      .input(axis)
      .attr("T", tf::DT_INT64)
      .attr("Tidx", tf::DT_INT32)
      .attr("keep_dims", false)
      .device(device);
  add_assign(def, std::string(kLocalStep) + "/next", kLocalStep, queue + "/last", tf::DT_INT64,
             options_.devices.here(""), std::string(kLocalStep) + "/read");
  graph->increment = "mox_ps/counted";
  NodeMaker(def, graph->increment, "NoOp").control(std::string(kLocalStep) + "/next").device(options_.devices.here(""));
  graph->train_ops.push_back(graph->increment);
}

void ParameterServerExchange::start(BuiltGraph* graph) {
  tf::GraphDef* def = &graph->graph;
  const std::string step = std::string(kStart) + "/step";
  read_global_step(graph, step, "");
  add_assign(def, std::string(kLocalStep) + "/first", kLocalStep, step, tf::DT_INT64, options_.devices.here(""));
  NodeMaker all(def, kStart, "NoOp");
  all.control(std::string(kLocalStep) + "/first").control(arrival_of_worker(options_.task) + "/first");
  all.device(options_.devices.here(""));
  if (is_chief()) {
    all.control(std::string(kWholeState) + "/first");
    for (const auto& [accumulator, device] : accumulators_) all.control(accumulator + "/start");
    for (const auto& [accumulator, device] : accumulators_)
      NodeMaker(def, accumulator + "/start", "MoxSetGradientStep").input(accumulator).input(step).device(device);
  }
  starters_.push_back(kStart);
}

// The global step when the step began, and after its own increment.
void ParameterServerExchange::add_staleness(BuiltGraph* graph) {
  tf::GraphDef* def = &graph->graph;
  const std::string name = "mox_ps/staleness", here = options_.devices.here("");
  read_global_step(graph, name + "/before", "");
  read_global_step(graph, name + "/after", graph->increment);
  const std::string one = add_const(def, name + "/one", scalar<int64_t>(1));
  const auto difference = [&](const std::string& result, const std::string& a, const std::string& b) {
    NodeMaker(def, result, "Sub").input(a).input(b).attr("T", tf::DT_INT64).device(here);
    return result;
  };
  const std::string all = difference(name + "/all", name + "/after", name + "/before");
  const std::string others = difference(name + "/others", all, one);
  add_cast(def, name, others, tf::DT_INT64, tf::DT_FLOAT, here);
  for (tf::NodeDef& node : *def->mutable_node())
    if (node.name() == graph->increment) node.add_input("^" + name + "/before");
  graph->towers[0].log_info.push_back({"staleness", name + ":0"});
}

std::string arrival_of_worker(int worker) { return numbered("came", worker); }

void set_generation(tf::GraphDef* graph, const std::string& generation) {
  for (tf::NodeDef& node : *graph->mutable_node()) {
    if (node.op() != "MoxGradientMean" && node.op() != "FIFOQueueV2") continue;
    if (node.name().rfind("mox_ps/", 0) == 0)
      tf::SetAttrValue(generation + "/" + node.name(), &(*node.mutable_attr())["shared_name"]);
  }
}

}  // namespace mox
