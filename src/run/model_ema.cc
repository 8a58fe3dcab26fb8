#include "run/model_ema.h"

#include <fmt/format.h>

#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "graph/average_name.h"
#include "graph/node_defs.h"
#include "graph/step_variants.h"
#include "moxing/error.h"
#include "moxing/log.h"

namespace mox {

namespace tf = tensorflow;

namespace {

constexpr char kFolder[] = "model_ema";

std::string in_folder(const std::string& name) { return std::string(kFolder) + "/" + name; }

tf::Tensor scalar(double value) {
  tf::Tensor t(tf::DT_DOUBLE, {});
  t.scalar<double>()() = value;
  return t;
}

// Variables that operations of `updates` write, whether itself, behind an Identity, or in a function that gets them.
std::set<std::string> moved_by(const BuiltGraph& graph, const std::vector<std::string>& updates) {
  const NodeIndex index = index_nodes(graph.graph);
  std::unordered_map<std::string, std::string> owner;
  for (const VariableInfo& variable : graph.variables) owner[variable.handle] = variable.name;
  std::set<std::string> moved;
  std::unordered_set<std::string> seen(updates.begin(), updates.end());
  std::vector<std::string> stack(updates.begin(), updates.end());
  while (!stack.empty()) {
    const auto found = index.find(stack.back());
    stack.pop_back();
    if (found == index.end()) continue;
    const tf::NodeDef& node = *found->second;
    for (const std::string& input : node.input()) {
      const TensorRef tensor = parse_tensor(input);
      const auto variable = owner.find(tensor.node);
      if (variable != owner.end() && !tensor.is_control() && node.op() != "ReadVariableOp")
        moved.insert(variable->second);
      if ((tensor.is_control() || node.op() == "Identity") && seen.insert(tensor.node).second)
        stack.push_back(tensor.node);
    }
  }
  return moved;
}

class EmaPass {
 public:
  EmaPass(BuiltGraph* graph, double decay) : graph_(graph), def_(&graph->graph), decay_(decay) {
    for (const tf::NodeDef& node : def_->node()) device_[node.name()] = node.device();
  }

  void run() {
    std::vector<VariableInfo> averaged;
    std::set<std::string> trained;
    for (const GradientSlot& slot : graph_->gradients) trained.insert(slot.variable);
    const std::set<std::string> moved = moved_by(*graph_, graph_->model_updates);
    size_t count_trained = 0;
    for (const VariableInfo& variable : graph_->variables) {
      const bool is_trained = trained.count(variable.name) > 0;
      if ((!is_trained && !moved.count(variable.name)) || !is_float(variable.dtype)) continue;
      averaged.push_back(variable);
      count_trained += is_trained;
    }
    add_rate();
    add_end_of_updates();
    for (const VariableInfo& variable : averaged) add_average(variable);
    log_info(fmt::format("model_ema {}: averages of {} variables, {} of them trained, {} moving averages of the model",
                         decay_, averaged.size(), count_trained, averaged.size() - count_trained));
  }

 private:
  static bool is_float(tf::DataType dtype) { return dtype == tf::DT_FLOAT || dtype == tf::DT_DOUBLE; }

  // 1 - d of this step, a double: 1 - 0.9999 has four digits of a float. The step's own number.
  void add_rate() {
    const VariableInfo& step = global_step_variable(*graph_);
    NodeMaker(def_, in_folder("global_step"), "ReadVariableOp")
        .input(step.handle)
        .attr("dtype", step.dtype)
        .device(device_.at(step.handle));
    for (tf::NodeDef& node : *def_->mutable_node())
      if (node.name() == graph_->increment) node.add_input("^" + in_folder("global_step"));
    NodeMaker(def_, in_folder("step"), "Cast")
        .input(in_folder("global_step"))
        .attr("SrcT", step.dtype)
        .attr("DstT", tf::DT_DOUBLE);
    // 1 - (1 + n) / (10 + n) = 9 / (10 + n)
    const std::string nine = add_const(def_, in_folder("nine"), scalar(9)),
                      ten = add_const(def_, in_folder("ten"), scalar(10));
    const std::string least = add_const(def_, in_folder("least"), scalar(1 - decay_));
    binary("Add", "later", in_folder("step"), ten);
    binary("RealDiv", "early_rate", nine, in_folder("later"));
    binary("Maximum", "rate", in_folder("early_rate"), least);
  }

  void binary(const char* op, const char* name, const std::string& a, const std::string& b) {
    NodeMaker(def_, in_folder(name), op).input(a).input(b).attr("T", tf::DT_DOUBLE);
  }

  // Dead in a step that is skipped, and the averages with it.
  void add_end_of_updates() {
    NodeMaker end(def_, in_folder("updated"), "NoOp");
    for (const std::string& op : graph_->train_ops)
      if (op != graph_->increment) end.control(op);
  }

  std::string rate_in(tf::DataType dtype) {
    if (dtype == tf::DT_DOUBLE) return in_folder("rate");
    const std::string name = in_folder("rate_float");
    if (!has_float_rate_)
      NodeMaker(def_, name, "Cast").input(in_folder("rate")).attr("SrcT", tf::DT_DOUBLE).attr("DstT", dtype);
    has_float_rate_ = true;
    return name;
  }

  void add_average(const VariableInfo& variable) {
    const std::string name = average_name(variable.name), device = device_.at(variable.handle);
    const tf::DataType dtype = variable.dtype;
    NodeMaker(def_, name, "VarHandleOp")
        .attr("dtype", dtype)
        .attr("shape", variable.shape)
        .attr("shared_name", name)
        .attr("container", std::string())
        .device(device);
    const auto read = [&](const char* what, const std::string& handle, const std::string& after) {
      NodeMaker(def_, name + what, "ReadVariableOp").input(handle).control(after).attr("dtype", dtype).device(device);
      return name + what;
    };
    // A checkpoint has both values, or none: see start_averages.
    const std::string first = read("/first", variable.handle, variable.initializer);
    NodeMaker(def_, name + "/Assign", "AssignVariableOp").input(name).input(first).attr("dtype", dtype).device(device);
    const std::string end = in_folder("updated");
    const std::string old = read("/old", name, end), now = read("/now", variable.handle, end);
    NodeMaker(def_, name + "/behind", "Sub").input(old).input(now).attr("T", dtype).device(device);
    NodeMaker(def_, name + "/change", "Mul")
        .input(name + "/behind")
        .input(rate_in(dtype))
        .attr("T", dtype)
        .device(device);
    NodeMaker(def_, name + "/update", "AssignSubVariableOp")
        .input(name)
        .input(name + "/change")
        .attr("dtype", dtype)
        .device(device);
    graph_->train_ops.push_back(name + "/update");
    graph_->variables.push_back({name, name, name + "/Assign", dtype, variable.shape, false, true});
  }

  BuiltGraph* graph_;
  tf::GraphDef* def_;
  const double decay_;
  std::unordered_map<std::string, std::string> device_;  // of each node
  bool has_float_rate_ = false;
};

}  // namespace

void add_model_ema(BuiltGraph* graph, double decay) { EmaPass(graph, decay).run(); }

void validate_averages(BuiltGraph* graph) {
  // The evaluation alone: what it needs for its results.
  const NodeIndex index = index_nodes(graph->graph);
  std::unordered_set<std::string> needed;
  std::vector<std::string> stack;
  for (const NamedTensor& info : graph->inter->log_info) stack.push_back(node_of(info.tensor));
  while (!stack.empty()) {
    const auto found = index.find(stack.back());
    stack.pop_back();
    if (found == index.end() || !needed.insert(found->first).second) continue;
    for (const std::string& input : found->second->input()) stack.push_back(node_of(input));
  }
  StepVariant evaluation;
  evaluation.name = kFolder;
  std::unordered_map<std::string, std::string> handles;
  for (const VariableInfo& variable : graph->variables) handles[variable.name] = variable.handle;
  for (const VariableInfo& variable : graph->variables)
    if (const std::string of = averaged_variable(variable.name); !of.empty())
      evaluation.replaces[handles.at(of)] = variable.handle;
  add_copies(&graph->graph, needed, &evaluation);
  for (NamedTensor& info : graph->inter->log_info) info.tensor = in_variant(evaluation, info.tensor);
}

void start_averages(const BuiltGraph& graph, LoadedCheckpoint* checkpoint) {
  for (const VariableInfo& variable : graph.variables) {
    const std::string of = averaged_variable(variable.name);
    if (of.empty() || checkpoint->values.count(variable.name)) continue;
    if (const auto found = checkpoint->values.find(of); found != checkpoint->values.end())
      checkpoint->values.emplace(variable.name, found->second);
  }
}

NamedTensors with_averages(NamedTensors values) {
  std::map<std::string, tf::Tensor> averages;
  for (const auto& [name, value] : values)
    if (const std::string of = averaged_variable(name); !of.empty()) averages.emplace(of, value);
  for (auto& [name, value] : values)
    if (const auto found = averages.find(name); found != averages.end()) value = found->second;
  return values;
}

}  // namespace mox
