#include "graph/added_work.h"

#include <unordered_set>

#include "graph/node_defs.h"

namespace mox {

namespace {

constexpr size_t kMostNodes = 100;

bool is_light(const std::string& op) {
  static const std::unordered_set<std::string> kOps = {
      "Abs",           "Add",
      "AddN",          "AddV2",
      "All",           "Any",
      "ArgMax",        "Cast",
      "Const",         "Div",
      "DivNoNan",      "Equal",
      "ExpandDims",    "Greater",
      "GreaterEqual",  "Identity",
      "InTopK",        "InTopKV2",
      "Less",          "LessEqual",
      "LogicalAnd",    "LogicalNot",
      "LogicalOr",     "Max",
      "Maximum",       "Mean",
      "MergeSummary",  "Min",
      "Minimum",       "Mul",
      "Neg",           "NotEqual",
      "Pack",          "Range",
      "Rank",          "RealDiv",
      "Reshape",       "ReadVariableOp",
      "ScalarSummary", "SelectV2",
      "Shape",         "Size",
      "Sqrt",          "Square",
      "Squeeze",       "StopGradient",
      "StridedSlice",  "Sub",
      "Sum",           "VarHandleOp",
  };
  return kOps.count(op) > 0;
}

}  // namespace

bool adds_little(const tensorflow::GraphDef& graph, const std::vector<std::string>& computed,
                 const std::vector<std::string>& more) {
  const NodeIndex index = index_nodes(graph);
  std::unordered_set<std::string> seen;
  // Nodes that `tensors` need and that were not seen before, as long as `goes_on` takes them.
  const auto walk = [&](std::vector<std::string> stack, const auto& goes_on) {
    while (!stack.empty()) {
      const std::string name = node_of(stack.back());
      stack.pop_back();
      const auto found = index.find(name);
      if (found == index.end() || !seen.insert(name).second) continue;
      if (!goes_on(*found->second)) return false;
      stack.insert(stack.end(), found->second->input().begin(), found->second->input().end());
    }
    return true;
  };
  walk(computed, [](const tensorflow::NodeDef&) { return true; });
  size_t added = 0;
  return walk(more, [&](const tensorflow::NodeDef& node) { return ++added <= kMostNodes && is_light(node.op()); });
}

}  // namespace mox
