#include "passes/constant_filters.h"

#include <set>

#include "base/environment.h"
#include "graph/node_defs.h"
#include "graph/variable_uses.h"
#include "tensorflow/core/common_runtime/optimization_registry.h"

namespace mox {

namespace tf = tensorflow;

namespace {

constexpr char kConstant[] = "_mox_constant";
constexpr char kIsFilterConst[] = "is_filter_const";  // of oneDNN's convolutions
constexpr int kAfterOneDnn = 10;  // its operations are put in in phases 1 and 2; before folded_variables.cc

bool is_constant(const tf::Node& node) {
  if (node.IsConstant()) return true;
  if (reads_constant(node)) return true;
  if (!is_one_of(node.type_string(), {"Cast", "Identity", "MoxFoldBatchNorm"})) return false;
  for (const tf::Edge* edge : node.in_edges())
    if (!edge->IsControlEdge() && !is_constant(*edge->src())) return false;
  return true;
}

// In the graph that one kind of step runs, where feeds are operations of their own.
class TellConstantFilters : public tf::GraphOptimizationPass {
 public:
  absl::Status Run(const tf::GraphOptimizationPassOptions& options) override {
    if (!options.partition_graphs) return absl::OkStatus();
    for (auto& [device, graph] : *options.partition_graphs)
      for (tf::Node* node : graph->op_nodes()) tell(node);
    return absl::OkStatus();
  }

 private:
  static void tell(tf::Node* node) {
    const tf::AttrValue* is_constant_now = node->attrs().Find(kIsFilterConst);
    if (!is_constant_now || is_constant_now->b() || node->type_string().find("Conv") == std::string::npos) return;
    const tf::Edge* filter = nullptr;
    if (!node->input_edge(1, &filter).ok() || !is_constant(*filter->src())) return;
    node->ClearAttr(kIsFilterConst);
    node->AddAttr(kIsFilterConst, true);
  }
};

REGISTER_OPTIMIZATION(tf::OptimizationPassRegistry::POST_PARTITIONING, kAfterOneDnn, TellConstantFilters);

}  // namespace

bool reads_constant(const tf::Node& node) {
  const tf::AttrValue* const mark = node.attrs().Find(kConstant);
  return mark && mark->b();
}

void mark_constant_filters(BuiltGraph* graph) {
  if (!bool_in_environment("MOX_CONSTANT_FILTERS").value_or(true)) return;
  const VariableUses uses(*graph);
  std::set<int> written, initializers;
  for (const VariableInfo& variable : graph->variables) initializers.insert(uses.node(variable.initializer));
  for (int node = 0; node < uses.size(); ++node)
    if (!initializers.count(node) && uses.writes(node)) written.insert(uses.of(node).begin(), uses.of(node).end());
  for (int node = 0; node < uses.size(); ++node) {
    tf::NodeDef* def = graph->graph.mutable_node(node);
    if (def->op() != "ReadVariableOp" || uses.of(node).empty() || written.count(uses.of(node)[0])) continue;
    tf::SetAttrValue(true, &(*def->mutable_attr())[kConstant]);
  }
}

}  // namespace mox
