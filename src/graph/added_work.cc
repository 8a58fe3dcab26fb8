#include "graph/added_work.h"

#include <algorithm>
#include <unordered_set>

#include "graph/graph_walk.h"
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
  const Names added = ancestors(index, more, ancestors(index, computed));
  return added.size() <= kMostNodes && std::all_of(added.begin(), added.end(), [&](const std::string& name) {
           return is_light(index.at(name)->op());
         });
}

}  // namespace mox
