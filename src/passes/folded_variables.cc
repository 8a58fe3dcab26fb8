// EVAL and PREDICT: a step reads the variables of each folded batch norm, five or six, by two operations each, though
// it only hands on what it folded before. A part of TensorFlow's optimization that looks at what a step runs: where
// all of these are reads of variables that nothing writes (passes/constant_filters.h marks them), they become one
// operation that finds the variables itself. A MobileNet has 28 convolutions and 274 such reads.
#include <set>
#include <string>
#include <vector>

#include "graph/node_defs.h"
#include "passes/constant_filters.h"
#include "tensorflow/core/common_runtime/optimization_registry.h"
#include "tensorflow/core/graph/algorithm.h"

namespace mox {

namespace tf = tensorflow;

namespace {

constexpr int kAfterConstantFilters = 11;  // which asks what a filter comes from

bool waits_for_nothing(const tf::Node& node) {
  for (const tf::Edge* edge : node.in_edges())
    if (edge->IsControlEdge() && !edge->src()->IsSource()) return false;
  return true;
}

// The variable of a read that may be done at any time; nullptr: it is none.
const tf::Node* variable_of(const tf::Node& read) {
  const tf::Edge* handle = nullptr;
  if (read.type_string() != "ReadVariableOp" || !reads_constant(read) || !waits_for_nothing(read) ||
      !read.input_edge(0, &handle).ok())
    return nullptr;
  const tf::Node* const variable = handle->src();
  // Without a name of its own it cannot be found by one.
  return variable->type_string() == "VarHandleOp" && variable->attrs().Find("shared_name") &&
                 !variable->attrs().Find("shared_name")->s().empty()
             ? variable
             : nullptr;
}

std::vector<const tf::Node*> variables_of(const tf::Node& fold) {
  std::vector<const tf::Node*> variables;
  for (int i = 0; i < fold.num_inputs(); ++i) {
    const tf::Edge* edge = nullptr;
    const tf::Node* const variable = fold.input_edge(i, &edge).ok() ? variable_of(*edge->src()) : nullptr;
    if (!variable) return {};
    variables.push_back(variable);
  }
  return variables;
}

// Another node takes the place of `fold`, which reads `variables`.
absl::Status find_variables_itself(const std::vector<const tf::Node*>& variables, tf::Graph* graph, tf::Node* fold) {
  tf::NodeDef def;
  def.set_name(fold->name());
  def.set_op("MoxFoldBatchNormOfVariables");
  def.set_device(fold->requested_device());
  for (const char* attr : {"T", "num_bias", "num_scale", "num_offset", "epsilon", "depthwise"})
    (*def.mutable_attr())[attr] = *fold->attrs().Find(attr);
  std::vector<std::string> containers, names;
  for (const tf::Node* variable : variables) {
    const tf::AttrValue* const container = variable->attrs().Find("container");
    containers.push_back(container ? container->s() : "");
    names.push_back(variable->attrs().Find("shared_name")->s());
  }
  tf::SetAttrValue(containers, &(*def.mutable_attr())["containers"]);
  tf::SetAttrValue(names, &(*def.mutable_attr())["names"]);
  absl::Status status;
  tf::Node* const node = graph->AddNode(def, &status);
  TF_RETURN_IF_ERROR(status);
  node->set_assigned_device_name(fold->assigned_device_name());
  for (const tf::Edge* edge : fold->in_edges())
    if (edge->IsControlEdge()) graph->AddControlEdge(edge->src(), node);
  const std::vector<const tf::Edge*> readers(fold->out_edges().begin(), fold->out_edges().end());  // these change
  for (const tf::Edge* edge : readers) {
    tf::Node* const reader = edge->dst();
    const int from = edge->src_output(), to = edge->dst_input();
    graph->RemoveEdge(edge);
    graph->AddEdge(node, from, reader, to);
  }
  graph->RemoveNode(fold);
  return absl::OkStatus();
}

bool is_read_by_nobody(const tf::Node& node) {
  for (const tf::Edge* edge : node.out_edges())
    if (!edge->dst()->IsSink()) return false;
  return true;
}

class FindVariables : public tf::GraphOptimizationPass {
 public:
  absl::Status Run(const tf::GraphOptimizationPassOptions& options) override {
    if (!options.partition_graphs) return absl::OkStatus();
    for (auto& [device, graph] : *options.partition_graphs) {
      std::vector<tf::Node*> folds;
      for (tf::Node* node : graph->op_nodes())
        if (node->type_string() == "MoxFoldBatchNorm") folds.push_back(node);
      std::set<tf::Node*> reads, handles;
      for (tf::Node* fold : folds) {
        const std::vector<const tf::Node*> variables = variables_of(*fold);
        if (variables.empty()) continue;
        for (tf::Node* read : fold->in_nodes()) reads.insert(read);
        TF_RETURN_IF_ERROR(find_variables_itself(variables, graph.get(), fold));
      }
      for (tf::Node* read : reads)
        for (tf::Node* handle : read->in_nodes()) handles.insert(handle);
      for (const auto& unread : {reads, handles})
        for (tf::Node* node : unread)
          if (node->IsOp() && is_read_by_nobody(*node)) graph->RemoveNode(node);
      tf::FixupSourceAndSinkEdges(graph.get());
    }
    return absl::OkStatus();
  }
};

REGISTER_OPTIMIZATION(tf::OptimizationPassRegistry::POST_PARTITIONING, kAfterConstantFilters, FindVariables);

}  // namespace
}  // namespace mox
