#include "exchange/collective_exchange.h"

#include <unordered_map>

#include "devices/device_plan.h"
#include "graph/graph_state.h"
#include "graph/graph_walk.h"
#include "graph/node_defs.h"
#include "graph/scalar_const.h"
#include "moxing/error.h"

namespace mox {

namespace tf = tensorflow;

namespace {

// Large enough that a bucket's round costs its bytes and not its latency, small enough that the first is under way
// early: of ResNet-50's 102 MB 25.
constexpr int64_t kBucket = 4 << 20;
constexpr char kAll[] = "mox_exchange/all";
constexpr char kFinite[] = "mox_exchange/finite";  // the gate: what all_finite returns

// A slot of the graph, and what fills it so far.
struct Slot {
  int node = 0;  // index in the GraphDef
  tf::DataType dtype = tf::DT_FLOAT;
  int64_t bytes = 0;
  std::string host;  // device
};

std::vector<Slot> slots_of(const BuiltGraph& graph) {
  std::unordered_map<std::string, int> position;
  for (int i = 0; i < graph.graph.node_size(); ++i) position[graph.graph.node(i).name()] = i;
  std::unordered_map<std::string, int64_t> elements;
  for (const VariableInfo& variable : graph.variables) elements[variable.name] = variable.shape.num_elements();
  std::vector<Slot> slots;
  for (const GradientSlot& gradient : graph.gradients) {
    Slot slot;
    slot.node = position.at(gradient.slot);
    const tf::NodeDef& node = graph.graph.node(slot.node);
    throw_if_error(tf::GetNodeAttr(node, "T", &slot.dtype), "exchanging the gradients of " + gradient.variable);
    slot.bytes = elements[gradient.variable] * static_cast<int64_t>(sizeof(float));
    slot.host = host_of(node.device());
    slots.push_back(slot);
  }
  return slots;
}

// Workers wait for each other's buckets: in a step all gradients are there, or none is.
void refuse_gradients_of_different_steps(const BuiltGraph& graph, const std::vector<Slot>& slots) {
  std::vector<std::string> means, switches;
  for (const Slot& slot : slots) means.push_back(node_of(graph.graph.node(slot.node).input(0)));
  const NodeIndex index = index_nodes(graph.graph);
  const Names before = ancestors(index, means, {});
  for (const tf::NodeDef& node : graph.graph.node())
    if (node.op() == "Switch" && before.count(node.name()) && node_of(node.input(1)) != kFinite)
      switches.push_back(node.name());
  const Names conditional = followers(graph.graph, switches);
  size_t sometimes = 0;
  for (const std::string& mean : means) sometimes += conditional.count(mean);
  if (sometimes == 0 || sometimes == means.size()) return;
  throw InvalidArgumentError(
      "the gradients of one loss are applied in each step, those of another in some steps only (batch_gradients with "
      "sync_on_apply): several workers can exchange them in the same steps only; give both optimizers the wrapper, or "
      "leave out sync_on_apply");
}

std::string bucket_name(int bucket) { return "mox_exchange/bucket_" + std::to_string(bucket); }

}  // namespace

std::string CollectiveExchange::all_finite(BuiltGraph* graph, const std::string& finite) {
  has_gate_ = true;
  train_ops_ = graph->train_ops;
  buckets_ = 1;
  first_bucket_ = {1};
  tf::GraphDef* def = &graph->graph;
  const std::string prefix = kFinite;
  std::string device;
  for (const tf::NodeDef& node : def->node())
    if (node.name() == node_of(finite)) device = host_of(node.device());
  NodeMaker(def, prefix + "/not", "LogicalNot").input(finite).device(device);
  const std::string here = add_cast(def, prefix + "/here", prefix + "/not", tf::DT_BOOL, tf::DT_FLOAT, device);
  NodeMaker(def, bucket_name(0), "MoxAllReduce")
      .input(here)
      .attr("N", int64_t{1})
      .attr("exchanger", options_.exchanger)
      .attr("bucket", int64_t{0})
      .device(device);
  const std::string zero = add_const(def, prefix + "/none", scalar_of(tf::DT_FLOAT, 0, "what is not finite"));
  NodeMaker(def, prefix, "Equal").input(bucket_name(0)).input(zero).attr("T", tf::DT_FLOAT).device(device);
  return prefix;
}

void CollectiveExchange::join(BuiltGraph* graph) {
  LocalExchange::join(graph);
  buckets_ = has_gate_ ? 1 : 0;
  tf::GraphDef* def = &graph->graph;
  const std::vector<Slot> slots = slots_of(*graph);
  refuse_gradients_of_different_steps(*graph, slots);
  std::vector<std::string> made;
  // The gradients of the variables that were made last are there first.
  for (size_t end = slots.size(); end > 0;) {
    size_t begin = end;
    int64_t bytes = 0;
    while (begin > 0 && bytes < kBucket && slots[begin - 1].host == slots[end - 1].host) bytes += slots[--begin].bytes;
    const std::string name = bucket_name(buckets_);
    std::vector<std::string> inputs;
    for (size_t i = end; i-- > begin;) {
      const tf::NodeDef& slot = def->node(slots[i].node);
      if (buckets_ == 0) first_bucket_.push_back(static_cast<size_t>(slots[i].bytes) / sizeof(float));
      inputs.push_back(
          add_cast(def, slot.name() + "/float", slot.input(0), slots[i].dtype, tf::DT_FLOAT, slots[i].host));
    }
    NodeMaker bucket(def, name, "MoxAllReduce");
    for (const std::string& input : inputs) bucket.input(input);
    bucket.attr("N", static_cast<int64_t>(inputs.size())).attr("exchanger", options_.exchanger);
    bucket.attr("bucket", static_cast<int64_t>(buckets_)).device(slots[end - 1].host);
    for (size_t i = end, port = 0; i-- > begin; ++port) {
      const std::string mean = name + ":" + std::to_string(port), slot = def->node(slots[i].node).name();
      const std::string joined = add_cast(def, slot + "/mean", mean, tf::DT_FLOAT, slots[i].dtype, slots[i].host);
      def->mutable_node(slots[i].node)->set_input(0, joined);
      graph->gradients[i].joined = {joined};
    }
    made.push_back(name);
    ++buckets_;
    end = begin;
  }
  const std::vector<std::string> updates = waiting_updates(*graph, made);
  if (options_.average_updates) average(graph, updates, &made);
  NodeMaker all(def, kAll, "NoOp");
  for (const std::string& bucket : made) all.control(bucket);
  if (!slots.empty()) all.device(slots[0].host);
  const std::string waits = "^" + std::string(kAll);
  for (const Slot& slot : slots) def->mutable_node(slot.node)->add_input(waits);
  const Names waiting(updates.begin(), updates.end());
  for (tf::NodeDef& node : *def->mutable_node())
    if (waiting.count(node.name())) node.add_input(waits);
}

// Updates of other variables: those that the gradients themselves wait for cannot wait. Nor must one that runs in steps
// without gradients (a gate, or an optimizer that applies those of several steps together).
std::vector<std::string> CollectiveExchange::waiting_updates(const BuiltGraph& graph,
                                                             const std::vector<std::string>& buckets) const {
  std::vector<std::string> ends, switches, found;
  for (const std::string& op : has_gate_ ? train_ops_ : graph.train_ops)
    if (op != graph.increment) ends.push_back(op);
  const NodeIndex index = index_nodes(graph.graph);
  const Names gradients = ancestors(index, buckets, {});
  for (const tf::NodeDef& node : graph.graph.node())
    if (node.op() == "Switch" && (gradients.count(node.name()) || (has_gate_ && node_of(node.input(1)) == kFinite)))
      switches.push_back(node.name());
  const Names conditional = followers(graph.graph, switches);
  const bool always = buckets.empty() || !conditional.count(buckets.back());
  const Names before = ancestors(index, ends, gradients);
  for (const tf::NodeDef& node : graph.graph.node())
    if (before.count(node.name()) && updates_variable(node) && (always || conditional.count(node.name())))
      found.push_back(node.name());
  return found;
}

// Of what no gradient trains: moving averages. A bucket of their own, the last one.
void CollectiveExchange::average(BuiltGraph* graph, const std::vector<std::string>& updates,
                                 std::vector<std::string>* buckets) {
  tf::GraphDef* def = &graph->graph;
  Names averages;
  for (const VariableInfo& variable : graph->variables)
    if (!variable.trainable && variable.dtype == tf::DT_FLOAT) averages.insert(variable.handle);
  const Names waiting(updates.begin(), updates.end());
  std::vector<int> nodes;
  for (int i = 0; i < def->node_size(); ++i) {
    const tf::NodeDef& node = def->node(i);
    const bool assigns =
        node.op() == "AssignSubVariableOp" || node.op() == "AssignAddVariableOp" || node.op() == "AssignVariableOp";
    // The optimizers' own follow from the gradients, which are the same everywhere.
    if (assigns && waiting.count(node.name()) && averages.count(node_of(node.input(0)))) nodes.push_back(i);
  }
  if (nodes.empty()) return;
  const std::string name = bucket_name(buckets_++);
  std::vector<std::string> values;
  for (const int i : nodes) values.push_back(def->node(i).input(1));
  NodeMaker bucket(def, name, "MoxAllReduce");
  for (const std::string& value : values) bucket.input(value);
  bucket.attr("N", static_cast<int64_t>(values.size())).attr("exchanger", options_.exchanger);
  bucket.attr("bucket", static_cast<int64_t>(buckets_ - 1)).device(host_of(def->node(nodes[0]).device()));
  for (size_t i = 0; i < nodes.size(); ++i)
    def->mutable_node(nodes[i])->set_input(1, TensorRef{name, static_cast<int>(i)}.text());
  buckets->push_back(name);
}

}  // namespace mox
