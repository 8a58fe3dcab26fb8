#include "exchange/skipped_step.h"

#include <limits>
#include <unordered_map>

#include "graph/graph_state.h"
#include "graph/graph_walk.h"
#include "graph/node_defs.h"
#include "graph/scalar_const.h"
#include "tensorflow/core/framework/op.h"

namespace mox {

namespace tf = tensorflow;

namespace {

// An alternative of each type: alive only in a skipped step.
class Alternatives {
 public:
  Alternatives(tf::GraphDef* graph, const SkippedStep& step) : graph_(graph), step_(step) {}

  // The tensor, "" for types that have none.
  std::string of(tf::DataType dtype) {
    const auto known = known_.find(dtype);
    if (known != known_.end()) return known->second;
    std::string& tensor = known_[dtype];
    tf::Tensor value;
    if (tf::DataTypeIsFloating(dtype)) {
      value = scalar_of(dtype, std::numeric_limits<double>::quiet_NaN(), "what a skipped step has");
    } else if (tf::DataTypeIsInteger(dtype) || dtype == tf::DT_BOOL) {
      value = tf::Tensor(dtype, {});
      std::memset(value.data(), 0, value.TotalBytes());
    } else if (dtype == tf::DT_STRING) {
      value = tf::Tensor(tf::tstring());
    } else {
      return tensor;
    }
    const std::string name = step_.folder + "skipped/" + tf::DataTypeString(dtype);
    const std::string constant = add_const(graph_, name + "/value", value);
    NodeMaker(graph_, name, "Switch").input(constant).input(step_.finite).attr("T", dtype).device(step_.device);
    return tensor = name;
  }

 private:
  tf::GraphDef* graph_;
  const SkippedStep& step_;
  std::map<tf::DataType, std::string> known_;
};

tf::DataTypeVector output_types(const tf::NodeDef& node) {
  const tf::OpDef* op = nullptr;
  tf::DataTypeVector types;
  if (!tf::OpRegistry::Global()->LookUpOpDef(node.op(), &op).ok() || !tf::OutputTypesForNode(node, *op, &types).ok())
    types.clear();
  return types;
}

}  // namespace

std::vector<std::string> let_updates_wait(tf::GraphDef* graph, const SkippedStep& step,
                                          const std::vector<std::string>& train_ops) {
  std::vector<std::string> raw;
  for (const auto& [gradient_switch, slot] : step.raw) raw.push_back(slot);
  const Names dead = followers(*graph, raw);
  std::vector<std::string> ends;
  for (const std::string& op : train_ops)
    if (op != step.increment && !dead.count(op)) ends.push_back(op);
  const NodeIndex index = index_nodes(*graph);
  Names stop = ancestors(index, {step.finite}, {});
  stop.insert(dead.begin(), dead.end());
  const Names before = ancestors(index, ends, stop);
  std::vector<std::string> waiting;
  for (tf::NodeDef& node : *graph->mutable_node()) {
    if (!before.count(node.name()) || !updates_variable(node)) continue;
    node.add_input("^" + step.go);
    waiting.push_back(node.name());
  }
  return waiting;
}

std::map<std::string, std::string> add_fetchable(tf::GraphDef* graph, const SkippedStep& step,
                                                 const std::vector<std::string>& waiting) {
  std::vector<std::string> from = waiting;
  std::map<std::string, std::string> not_finite;
  for (const auto& [gradient_switch, slot] : step.raw) {
    from.push_back(slot);
    not_finite[slot] = gradient_switch;
  }
  const Names dead = followers(*graph, from);
  Alternatives alternatives(graph, step);
  std::map<std::string, std::string> fetchable;
  const int count = graph->node_size();
  for (int i = 0; i < count; ++i) {
    const tf::NodeDef node = graph->node(i);
    if (!dead.count(node.name())) continue;
    const tf::DataTypeVector types = output_types(node);
    for (size_t port = 0; port < types.size(); ++port) {
      const auto raw = not_finite.find(node.name());
      const std::string alternative = raw == not_finite.end() ? alternatives.of(types[port]) : raw->second;
      if (alternative.empty()) continue;
      const std::string tensor = TensorRef{node.name(), static_cast<int>(port)}.text();
      const std::string name = step.folder + "fetch/" + node.name() + "/" + std::to_string(port);
      NodeMaker(graph, name, "Merge")
          .input(tensor)
          .input(alternative)
          .attr("N", int64_t{2})
          .attr("T", types[port])
          .device(node.device());
      fetchable[tensor] = name;
    }
  }
  return fetchable;
}

}  // namespace mox
