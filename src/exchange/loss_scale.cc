#include "exchange/loss_scale.h"

#include <algorithm>

#include "devices/device_plan.h"
#include "exchange/skipped_step.h"
#include "graph/graph_state.h"
#include "graph/node_defs.h"
#include "graph/scalar_const.h"
#include "moxing/error.h"

namespace mox {

namespace tf = tensorflow;

namespace {

constexpr char kFolder[] = "dynamic_loss_scale/";  // of the nodes that the pass adds

tf::Tensor int64_scalar(int64_t value) {
  tf::Tensor t(tf::DT_INT64, {});
  t.scalar<int64_t>()() = value;
  return t;
}

tf::NodeDef* find_node(tf::GraphDef* graph, const std::string& name, const std::string& purpose) {
  for (tf::NodeDef& node : *graph->mutable_node())
    if (node.name() == name) return &node;
  throw Error("the graph has no node '" + name + "', wanted for " + purpose);
}

struct RawGradient {
  std::string slot, tensor, device;
  tf::DataType dtype;
};

std::vector<RawGradient> raw_gradients(const tf::GraphDef& graph, const std::vector<std::string>& slots) {
  const NodeIndex index = index_nodes(graph);
  std::vector<RawGradient> found;
  for (const std::string& slot : slots) {
    const tf::NodeDef& node = require_node(index, slot, "scaling the loss");
    RawGradient raw{slot, node.input(0), node.device(), tf::DT_FLOAT};
    throw_if_error(tf::GetNodeAttr(node, "T", &raw.dtype), "scaling the loss");
    found.push_back(raw);
  }
  return found;
}

void rewire(tf::GraphDef* graph, const std::vector<RawGradient>& gradients, const std::string& suffix) {
  std::unordered_map<std::string, std::string> inputs;
  for (const RawGradient& raw : gradients) inputs[raw.slot] = raw.slot + suffix;
  for (tf::NodeDef& node : *graph->mutable_node())
    if (auto found = inputs.find(node.name()); found != inputs.end()) node.set_input(0, found->second);
}

// A scalar variable, its initializer and a read of it. `place` is where it lives.
AddedVariable add_variable(tf::GraphDef* graph, const std::string& name, const tf::Tensor& initial,
                           const std::string& place) {
  NodeMaker(graph, name, "VarHandleOp")
      .attr("dtype", initial.dtype())
      .attr("shape", tf::TensorShape())
      .attr("shared_name", name)
      .attr("container", std::string())
      .device(place);
  const std::string value = add_const(graph, name + "/initial_value", initial);
  NodeMaker(graph, name + "/Assign", "AssignVariableOp")
      .input(name)
      .input(value)
      .attr("dtype", initial.dtype())
      .device(place);
  return {name, name + "/Assign", initial.dtype()};
}

void make_read(tf::NodeDef* node, const AddedVariable& variable, const std::string& place) {
  node->set_op("ReadVariableOp");
  node->clear_attr();
  node->clear_input();
  node->add_input(variable.name);
  tf::SetAttrValue(variable.dtype, &(*node->mutable_attr())["dtype"]);
  node->set_device(place);
}

std::string add_read(tf::GraphDef* graph, const std::string& name, const std::string& handle, tf::DataType dtype,
                     const std::string& place) {
  make_read(graph->add_node(), {handle, "", dtype}, place);
  graph->mutable_node(graph->node_size() - 1)->set_name(name);
  return name;
}

// Half the sum of squares, in float or wider: not finite when an element is not.
std::string add_square(tf::GraphDef* graph, const RawGradient& raw) {
  std::string tensor = raw.tensor;
  if (raw.dtype != tf::DT_FLOAT) {
    NodeMaker cast(graph, raw.slot + "/as_float", "Cast");
    cast.input(tensor).attr("SrcT", raw.dtype).attr("DstT", tf::DT_FLOAT).device(raw.device);
    tensor = cast.name();
  }
  NodeMaker(graph, raw.slot + "/square", "L2Loss").input(tensor).attr("T", tf::DT_FLOAT).device(raw.device);
  return raw.slot + "/square";
}

// A bool scalar: all gradients of all devices of this process are finite.
std::string add_all_finite(tf::GraphDef* graph, const std::vector<RawGradient>& gradients, const std::string& place) {
  const std::string folder = kFolder;
  std::vector<std::string> squares;
  for (const RawGradient& raw : gradients) squares.push_back(add_square(graph, raw));
  NodeMaker sum(graph, folder + "squares", "AddN");
  for (const std::string& square : squares) sum.input(square);
  // Where they are computed, if that is one place: one number leaves a GPU, not one a variable.
  const bool together = std::all_of(gradients.begin(), gradients.end(),
                                    [&](const RawGradient& raw) { return raw.device == gradients[0].device; });
  sum.attr("N", static_cast<int64_t>(squares.size()))
      .attr("T", tf::DT_FLOAT)
      .device(together ? gradients[0].device : place);
  NodeMaker(graph, folder + "all_finite", "IsFinite").input(folder + "squares").attr("T", tf::DT_FLOAT).device(place);
  return folder + "all_finite";
}

// gradient * factor, in float where the gradient is narrower: the inverse of a large scale is 0 in half precision.
// `factor` is a float scalar.
void add_product(tf::GraphDef* graph, const RawGradient& raw, const std::string& factor) {
  const std::string name = raw.slot + "/unscaled";
  const bool narrow = raw.dtype == tf::DT_HALF || raw.dtype == tf::DT_BFLOAT16;
  const tf::DataType computed = narrow ? tf::DT_FLOAT : raw.dtype;
  const auto cast = [&](const std::string& as, const std::string& from, tf::DataType source, tf::DataType target) {
    if (source == target) return from;
    NodeMaker(graph, as, "Cast").input(from).attr("SrcT", source).attr("DstT", target).device(raw.device);
    return as;
  };
  const std::string wide = cast(raw.slot + "/wide", raw.tensor, raw.dtype, computed);
  const std::string by = cast(raw.slot + "/factor", factor, tf::DT_FLOAT, computed);
  const std::string product = narrow ? raw.slot + "/wide_unscaled" : name;
  NodeMaker(graph, product, "Mul").input(wide).input(by).attr("T", computed).device(raw.device);
  cast(name, product, computed, raw.dtype);
}

// slot := Switch(gradient / scale, finite): dead in a step that is skipped.
void add_switch(tf::GraphDef* graph, const RawGradient& raw, const std::string& inverse, const std::string& finite) {
  add_product(graph, raw, inverse);
  NodeMaker(graph, raw.slot + "/if_finite", "Switch")
      .input(raw.slot + "/unscaled")
      .input(finite)
      .attr("T", raw.dtype)
      .device(raw.device);
}

// What waited for the optimizer's operations waits for one that is alive in every step.
void keep_alive(tf::GraphDef* graph, const std::string& op, const std::string& finite, const std::string& place) {
  const std::string folder = kFolder;
  tf::NodeDef* node = find_node(graph, op, "the step's end");
  std::vector<std::string> data, controls;
  for (const std::string& input : node->input()) (input[0] == '^' ? controls : data).push_back(input);
  node->clear_input();
  for (const std::string& input : data) node->add_input(input);
  node->add_input("^" + folder + "step_done");
  NodeMaker(graph, folder + "branch", "Switch").input(finite).input(finite).attr("T", tf::DT_BOOL).device(place);
  NodeMaker applied(graph, folder + "applied", "Identity");
  applied.input(folder + "branch:1").attr("T", tf::DT_BOOL).device(place);
  for (const std::string& control : controls) applied.input(control);
  NodeMaker(graph, folder + "step_done", "Merge")
      .input(folder + "branch")
      .input(folder + "applied")
      .attr("N", int64_t{2})
      .attr("T", tf::DT_BOOL)
      .device(place);
}

// A Const that feeds on a dead node would die with the increment: its data inputs wait for nothing.
void free_constants(tf::GraphDef* graph, const std::string& op) {
  const NodeIndex index = index_nodes(*graph);
  std::vector<std::string> constants;
  for (const std::string& input : require_node(index, op, "the step's end").input())
    if (input[0] != '^' && require_node(index, node_of(input), op).op() == "Const") constants.push_back(node_of(input));
  for (const std::string& name : constants) find_node(graph, name, op)->clear_input();
}

}  // namespace

void unscale_gradients(tf::GraphDef* graph, const ScaledGradients& scaled, double scale) {
  const std::vector<RawGradient> gradients = raw_gradients(*graph, scaled.gradients);
  const std::string inverse =
      add_const(graph, "loss_scale/inverse", scalar_of(tf::DT_FLOAT, 1 / scale, "the inverse of loss_scale"));
  for (const RawGradient& raw : gradients) add_product(graph, raw, inverse);
  rewire(graph, gradients, "/unscaled");
}

DynamicLossScale make_loss_scale_dynamic(tf::GraphDef* graph, const ScaledGradients& scaled,
                                         const DynamicLossScaleOptions& options, std::vector<std::string>* train_ops) {
  const std::string folder = kFolder;
  const std::vector<RawGradient> gradients = raw_gradients(*graph, scaled.gradients);
  const std::string place = find_node(graph, options.global_step, "the dynamic loss scale")->device();
  DynamicLossScale added;
  const std::vector<AddedVariable>& variables = added.variables = {
      add_variable(graph, "loss_scale_value", scalar_of(tf::DT_FLOAT, options.initial, "loss_scale"), place),
      add_variable(graph, "loss_scale_good_steps", int64_scalar(0), place)};
  make_read(find_node(graph, scaled.scale, "the dynamic loss scale"), variables[0], place);
  const std::string finite = options.all_finite(add_all_finite(graph, gradients, place));
  NodeMaker(graph, folder + "inverse", "Reciprocal").input(scaled.scale).attr("T", tf::DT_FLOAT).device(place);
  for (const RawGradient& raw : gradients) add_switch(graph, raw, folder + "inverse", finite);
  rewire(graph, gradients, "/if_finite:1");
  keep_alive(graph, options.increment, finite, place);
  free_constants(graph, options.increment);
  // A node of its own: `applied` waits for the optimizer.
  NodeMaker(graph, folder + "go", "Identity").input(folder + "branch:1").attr("T", tf::DT_BOOL).device(place);
  SkippedStep step{folder, finite, folder + "go", options.increment, {}, place};
  for (const RawGradient& raw : gradients) step.raw.emplace_back(raw.slot + "/if_finite", raw.slot);
  added.fetchable = add_fetchable(graph, step, let_updates_wait(graph, step, *train_ops));

  NodeMaker update(graph, folder + "update", "MoxUpdateLossScale");
  update.input(finite).input(scaled.scale).input(folder + "good_steps").input(folder + "global_step");
  update.attr("growth_steps", options.growth_steps).device(host_of(place));
  add_read(graph, folder + "good_steps", variables[1].name, tf::DT_INT64, place);
  add_read(graph, folder + "global_step", options.global_step, tf::DT_INT64, place);
  for (size_t i = 0; i < variables.size(); ++i) {
    const std::string assign = variables[i].name + "/update";
    NodeMaker(graph, assign, "AssignVariableOp")
        .input(variables[i].name)
        .input(folder + "update:" + std::to_string(i))
        .attr("dtype", variables[i].dtype)
        .device(place);
    train_ops->push_back(assign);
  }
  // The number in the log is this step's.
  find_node(graph, options.increment, "the step's end")->add_input("^" + folder + "global_step");
  return added;
}

}  // namespace mox
