#include "exchange/packing.h"

#include <algorithm>
#include <map>

#include "graph/graph_walk.h"
#include "graph/node_defs.h"
#include "graph/variable_uses.h"

namespace mox {

namespace tf = tensorflow;

namespace {

std::string add_numbers(tf::GraphDef* graph, const std::string& name, const std::vector<int64_t>& numbers, bool scalar,
                        const std::string& device) {
  tf::Tensor value(tf::DT_INT32, scalar ? tf::TensorShape() : tf::TensorShape({static_cast<int64_t>(numbers.size())}));
  for (size_t i = 0; i < numbers.size(); ++i) value.flat<int32_t>()(i) = static_cast<int32_t>(numbers[i]);
  NodeMaker(graph, name, "Const").attr("dtype", tf::DT_INT32).attr("value", value).device(device);
  return name;
}

std::string add_reshape(tf::GraphDef* graph, const std::string& name, const std::string& tensor,
                        const std::string& shape, tf::DataType dtype, const std::string& device) {
  NodeMaker(graph, name, "Reshape")
      .input(tensor)
      .input(shape)
      .attr("T", dtype)
      .attr("Tshape", tf::DT_INT32)
      .device(device);
  return name;
}

std::string part(const std::string& name, size_t i) { return name + "/" + std::to_string(i); }

}  // namespace

std::string add_pack(tf::GraphDef* graph, const std::string& name, const std::vector<std::string>& tensors,
                     const std::vector<tf::TensorShape>& shapes, tf::DataType dtype, const std::string& device) {
  const std::string flat = add_numbers(graph, name + "/flat", {-1}, false, device);
  if (tensors.size() == 1) return add_reshape(graph, name, tensors[0], flat, dtype, device);
  const std::string axis = add_numbers(graph, name + "/axis", {0}, true, device);
  std::vector<std::string> vectors = tensors;
  for (size_t i = 0; i < tensors.size(); ++i)
    if (shapes[i].dims() != 1) vectors[i] = add_reshape(graph, part(name, i), tensors[i], flat, dtype, device);
  NodeMaker joined(graph, name, "ConcatV2");
  for (const std::string& vector : vectors) joined.input(vector);
  joined.input(axis)
      .attr("N", static_cast<int64_t>(vectors.size()))
      .attr("T", dtype)
      .attr("Tidx", tf::DT_INT32)
      .device(device);
  return name;
}

std::vector<std::string> add_unpack(tf::GraphDef* graph, const std::string& name, const std::string& packed,
                                    const std::vector<tf::TensorShape>& shapes, tf::DataType dtype,
                                    const std::string& device) {
  std::vector<int64_t> sizes;
  for (const tf::TensorShape& shape : shapes) sizes.push_back(shape.num_elements());
  NodeMaker(graph, name, "SplitV")
      .input(packed)
      .input(add_numbers(graph, name + "/sizes", sizes, false, device))
      .input(add_numbers(graph, name + "/axis", {0}, true, device))
      .attr("num_split", static_cast<int64_t>(shapes.size()))
      .attr("T", dtype)
      .attr("Tlen", tf::DT_INT32)
      .device(device);
  std::vector<std::string> tensors;
  for (size_t i = 0; i < shapes.size(); ++i) {
    std::string tensor = name + ":" + std::to_string(i);
    if (shapes[i].dims() != 1) {
      const auto dims = shapes[i].dim_sizes();
      const std::string shape = add_numbers(graph, part(name, i) + "/shape", {dims.begin(), dims.end()}, false, device);
      tensor = add_reshape(graph, part(name, i), tensor, shape, dtype, device);
    }
    tensors.push_back(tensor);
  }
  return tensors;
}

namespace {

bool is_on_server(const tf::NodeDef& node, const DevicePlan& plan) {
  for (int server = 0; server < plan.servers(); ++server)
    if (node.device() == plan.server(server)) return true;
  return false;
}

// Whether a node is on a server, beside the one small variable that it uses.
bool is_of_small_variable(const BuiltGraph& graph, const VariableUses& uses, const DevicePlan& plan, int node) {
  if (!is_on_server(graph.graph.node(node), plan) || uses.of(node).size() != 1) return false;
  const VariableInfo& variable = graph.variables[uses.of(node)[0]];
  return variable.dtype == tf::DT_FLOAT &&
         is_packed(variable.shape.num_elements() * static_cast<int64_t>(sizeof(float)));
}

// Updates of small variables that run in every step, by values that this process computes and that wait for none of
// them: moving averages'.
std::vector<int> find_updates(const BuiltGraph& graph, const VariableUses& uses, const DevicePlan& plan) {
  const tf::GraphDef& def = graph.graph;
  std::vector<std::string> switches;
  for (const tf::NodeDef& node : def.node())
    if (node.op() == "Switch") switches.push_back(node.name());
  const Names sometimes = followers(def, switches);
  const std::vector<bool> runs = uses.ancestors(uses.nodes_of(graph.train_ops));
  std::vector<int> updates;
  for (int i = 0; i < uses.size(); ++i) {
    const tf::NodeDef& node = def.node(i);
    if (!is_one_of(node.op(), {"AssignSubVariableOp", "AssignAddVariableOp", "AssignVariableOp"})) continue;
    if (!runs[i] || sometimes.count(node.name()) || !is_of_small_variable(graph, uses, plan, i)) continue;
    const int value = uses.node(node_of(node.input(1)));
    if (value >= 0 && !is_on_server(def.node(value), plan)) updates.push_back(i);
  }
  const std::vector<bool> after = uses.descendants(updates);
  std::erase_if(updates, [&](int i) { return after[uses.node(node_of(def.node(i).input(1)))]; });
  return updates;
}

// Reads that run in every step, and in none without the others: those that gradients and this process's updates need
// and no initializer does, and those that renew copies. By server and by what they wait for. [group]: nodes.
std::map<std::pair<std::string, std::string>, std::vector<int>> find_reads(const BuiltGraph& graph,
                                                                           const VariableUses& uses,
                                                                           const DevicePlan& plan) {
  std::vector<std::string> starts = graph.initializers;
  for (const VariableInfo& variable : graph.variables) starts.push_back(variable.initializer);
  const std::vector<bool> at_start = uses.ancestors(uses.nodes_of(starts));
  std::vector<int> ends = uses.nodes_of(graph.scaled_gradients.gradients);
  for (const int update : find_updates(graph, uses, plan)) ends.push_back(update);
  const std::vector<bool> trains = uses.ancestors(ends);
  std::map<std::pair<std::string, std::string>, std::vector<int>> groups;
  for (int i = 0; i < uses.size(); ++i) {
    const tf::NodeDef& node = graph.graph.node(i);
    if (node.op() != "ReadVariableOp" || !is_of_small_variable(graph, uses, plan, i)) continue;
    const bool renews = node.name().rfind("mox_ps/copy/", 0) == 0 && node.input_size() == 2;
    if (!renews && (at_start[i] || !trains[i] || node.input_size() != 1)) continue;
    groups[{node.device(), node.input_size() == 2 ? node.input(1) : ""}].push_back(i);
  }
  return groups;
}

}  // namespace

void pack_reads(BuiltGraph* graph, const DevicePlan& plan) {
  tf::GraphDef* def = &graph->graph;
  const VariableUses uses(*graph);
  const std::string here = plan.here("");
  int number = 0;
  for (const auto& [place, reads] : find_reads(*graph, uses, plan)) {
    // [read]: what takes its value in this process.
    std::vector<std::pair<int, std::vector<int>>> taken;
    for (const int read : reads) {
      std::vector<int> takers;
      for (const int reader : uses.readers(read))
        if (def->node(reader).device() != place.first) takers.push_back(reader);
      if (!takers.empty()) taken.emplace_back(read, takers);
    }
    if (taken.size() < 2) continue;
    std::vector<std::string> names;
    std::vector<tf::TensorShape> shapes;
    for (const auto& [read, takers] : taken) {
      names.push_back(def->node(read).name());
      shapes.push_back(graph->variables[uses.of(read)[0]].shape);
    }
    const std::string name = "mox_ps/pulled_" + std::to_string(number++);
    const std::string packed = add_pack(def, name, names, shapes, tf::DT_FLOAT, place.first);
    const std::vector<std::string> values = add_unpack(def, name + "/here", packed, shapes, tf::DT_FLOAT, here);
    for (size_t i = 0; i < taken.size(); ++i)
      for (const int taker : taken[i].second)
        for (std::string& input : *def->mutable_node(taker)->mutable_input())
          if (!parse_tensor(input).is_control() && node_of(input) == names[i]) input = values[i];
  }
}

void pack_updates(BuiltGraph* graph, const DevicePlan& plan) {
  tf::GraphDef* def = &graph->graph;
  const VariableUses uses(*graph);
  std::map<std::pair<std::string, std::string>, std::vector<int>> updates;  // [server, device of the value]
  for (const int update : find_updates(*graph, uses, plan)) {
    const int value = uses.node(node_of(def->node(update).input(1)));
    updates[{def->node(update).device(), def->node(value).device()}].push_back(update);
  }
  int number = 0;
  for (const auto& [way, together] : updates) {
    if (together.size() < 2) continue;
    std::vector<std::string> values;
    std::vector<tf::TensorShape> shapes;
    for (const int update : together) {
      values.push_back(def->node(update).input(1));
      shapes.push_back(graph->variables[uses.of(update)[0]].shape);
    }
    const std::string name = "mox_ps/moved_" + std::to_string(number++);
    const std::string packed = add_pack(def, name, values, shapes, tf::DT_FLOAT, way.second);
    const auto there = add_unpack(def, name + "/there", packed, shapes, tf::DT_FLOAT, way.first);
    for (size_t i = 0; i < together.size(); ++i) def->mutable_node(together[i])->set_input(1, there[i]);
  }
}

}  // namespace mox
