#include "run/moving_average_ramp.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "graph/node_defs.h"

namespace mox {

namespace tf = tensorflow;

namespace {

constexpr float kSpan = 20;
constexpr char kStep[] = "moving_average_ramp/step", kFloatStep[] = "moving_average_ramp/float_step",
               kSpanNode[] = "moving_average_ramp/span", kSum[] = "moving_average_ramp/sum",
               kRamp[] = "moving_average_ramp/rate";

// variable -= (variable - value) * rate, as MoXing's layers and TensorFlow's assign_moving_average write it.
struct Update {
  std::string product;  // node of the multiplication
  int input = 0;        // which of its inputs is the rate
  float rate = 0;
};

bool is_average(const std::string& variable) {
  return variable.ends_with("moving_mean") || variable.ends_with("moving_variance");
}

std::optional<float> constant(const NodeIndex& index, const std::string& tensor) {
  const auto found = index.find(node_of(tensor));
  if (found == index.end() || found->second->op() != "Const") return std::nullopt;
  tf::Tensor value;
  const auto& attrs = found->second->attr();
  const auto proto = attrs.find("value");
  if (proto == attrs.end() || !value.FromProto(proto->second.tensor())) return std::nullopt;
  if (value.dtype() != tf::DT_FLOAT || value.NumElements() != 1) return std::nullopt;
  return value.flat<float>()(0);
}

std::vector<Update> find_updates(const BuiltGraph& graph) {
  std::map<std::string, std::string> variables;  // by handle
  for (const VariableInfo& variable : graph.variables) variables[variable.handle] = variable.name;
  const NodeIndex index = index_nodes(graph.graph);
  std::vector<Update> updates;
  for (const std::string& op : graph.train_ops) {
    const auto node = index.find(op);
    if (node == index.end() || node->second->op() != "AssignSubVariableOp") continue;
    const auto variable = variables.find(node_of(node->second->input(0)));
    auto product = index.find(node_of(node->second->input(1)));
    if (product != index.end() && product->second->op() == "Split")  // of a variable in pieces
      product = index.find(node_of(product->second->input(1)));
    if (variable == variables.end() || !is_average(variable->second)) continue;
    if (product == index.end() || product->second->op() != "Mul") continue;
    for (int i = 0; i < 2; ++i)
      if (const auto rate = constant(index, product->second->input(i)); rate && *rate > 0 && *rate < 1)
        updates.push_back({product->first, i, *rate});
  }
  return updates;
}

std::string add_scalar(tf::GraphDef* graph, const std::string& name, float value) {
  tf::Tensor tensor(tf::DT_FLOAT, {});
  tensor.scalar<float>()() = value;
  return add_const(graph, name, tensor);
}

// 20 / (20 + step), of the step under way.
void add_ramp(BuiltGraph* graph) {
  tf::GraphDef* def = &graph->graph;
  NodeMaker(def, kStep, "ReadVariableOp").input(global_step_variable(*graph).handle).attr("dtype", tf::DT_INT64);
  NodeMaker(def, kFloatStep, "Cast").input(kStep).attr("SrcT", tf::DT_INT64).attr("DstT", tf::DT_FLOAT);
  add_scalar(def, kSpanNode, kSpan);
  NodeMaker(def, kSum, "AddV2").input(kFloatStep).input(kSpanNode).attr("T", tf::DT_FLOAT);
  NodeMaker(def, kRamp, "RealDiv").input(kSpanNode).input(kSum).attr("T", tf::DT_FLOAT);
  for (tf::NodeDef& node : *def->mutable_node())
    if (node.name() == graph->increment) node.add_input(fmt::format("^{}", kStep));  // it reads before it counts
}

}  // namespace

double slowest_average(const BuiltGraph& graph) {
  double decay = 0;
  for (const Update& update : find_updates(graph)) decay = std::max(decay, 1 - static_cast<double>(update.rate));
  return decay;
}

int64_t steps_of_average(double decay) {
  return decay > 0 ? static_cast<int64_t>(std::ceil(std::log(0.01) / std::log(decay))) : 0;
}

double decay_for(int64_t steps) {
  const double decay = 1 - static_cast<double>(kSpan) / static_cast<double>(std::max<int64_t>(steps, 1));
  return std::floor(std::clamp(decay, 0.5, 0.9999) * 10000) / 10000;
}

void ramp_moving_averages(BuiltGraph* graph) {
  const std::vector<Update> updates = find_updates(*graph);
  if (updates.empty()) return;
  add_ramp(graph);
  std::map<float, std::string> rates;
  for (const Update& update : updates)
    if (!rates.count(update.rate)) {
      const std::string name = fmt::format("{}_{}", kRamp, rates.size());
      const std::string own = add_scalar(&graph->graph, name + "/own", update.rate);
      NodeMaker(&graph->graph, name, "Maximum").input(own).input(kRamp).attr("T", tf::DT_FLOAT);
      rates[update.rate] = name;
    }
  std::map<std::string, const Update*> by_node;
  for (const Update& update : updates) by_node[update.product] = &update;
  for (tf::NodeDef& node : *graph->graph.mutable_node())
    if (const auto found = by_node.find(node.name()); found != by_node.end())
      node.set_input(found->second->input, rates[found->second->rate]);
}

}  // namespace mox
