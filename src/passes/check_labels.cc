#include "passes/check_labels.h"

#include <set>
#include <unordered_set>

#include "devices/device_plan.h"
#include "graph/node_defs.h"

namespace mox {

namespace tf = tensorflow;

namespace {

using Names = std::set<std::string>;  // in one order in every run

class LabelChecks {
 public:
  explicit LabelChecks(tf::GraphDef* graph) : graph_(graph), index_(index_nodes(*graph)) {
    for (const tf::NodeDef& node : graph->node())
      for (const std::string& input : node.input()) users_[node_of(input)].push_back(&node);
  }

  int add() {
    Names indices;  // OneHot nodes
    Names rows;     // cross entropies
    for (const tf::NodeDef& node : graph_->node()) {
      if (node.op() != "SoftmaxCrossEntropyWithLogits" || losses_are_weighted(node)) continue;
      Names found;
      if (!find_one_hot(node.input(1), &found)) continue;
      if (found.empty()) rows.insert(node.name());
      indices.insert(found.begin(), found.end());
    }
    if (indices.empty() && rows.empty()) return 0;
    // The index points into the graph, which now grows.
    std::unordered_map<std::string, int> places;
    for (int i = 0; i < graph_->node_size(); ++i) places[graph_->node(i).name()] = i;
    for (const std::string& name : indices) insert(places.at(name), 0, "MoxCheckClasses");
    for (const std::string& name : rows) insert(places.at(name), 1, "MoxCheckClassRows");
    return static_cast<int>(indices.size() + rows.size());
  }

 private:
  const tf::NodeDef* node(const std::string& tensor) const {
    const auto found = index_.find(node_of(tensor));
    return found == index_.end() ? nullptr : found->second;
  }

  // Whether it is of the samples, not a number of the model's.
  bool comes_from_input(const std::string& tensor) const {
    std::unordered_set<std::string> seen;
    std::vector<std::string> stack{tensor};
    while (!stack.empty()) {
      const tf::NodeDef* from = node(stack.back());
      stack.pop_back();
      if (!from || !seen.insert(from->name()).second) continue;
      // What only the shape of the input decides is no weight.
      if (is_one_of(from->op(), {"Shape", "ShapeN", "Size", "Rank", "OnesLike", "ZerosLike"})) continue;
      if (is_one_of(from->op(), {"IteratorGetNext", "Placeholder", "PyFunc", "PyFuncStateless", "EagerPyFunc"}))
        return true;
      for (const std::string& input : from->input())
        if (!parse_tensor(input).is_control()) stack.push_back(input);
    }
    return false;
  }

  // The samples' losses are multiplied, or some of them taken, before they are summed up.
  bool losses_are_weighted(const tf::NodeDef& cross_entropy) const {
    std::unordered_set<std::string> seen;
    std::vector<std::string> stack{cross_entropy.name()};
    while (!stack.empty()) {
      const std::string from = stack.back();
      stack.pop_back();
      const auto found = users_.find(from);
      if (found == users_.end() || !seen.insert(from).second) continue;
      for (const tf::NodeDef* user : found->second) {
        if (from == cross_entropy.name() && !takes_loss(*user, from)) continue;
        if (is_one_of(user->op(), {"Select", "SelectV2", "Gather", "GatherV2", "GatherNd", "DynamicPartition"}))
          return true;
        if (is_one_of(user->op(), {"Mul", "MulNoNan", "RealDiv", "Div", "DivNoNan"}))
          for (const std::string& input : user->input())
            if (node_of(input) != from && comes_from_input(input)) return true;
        if (is_one_of(user->op(), {"Mul", "MulNoNan", "RealDiv", "Div", "DivNoNan", "Identity", "Reshape", "Cast",
                                   "Squeeze", "ExpandDims"}))
          stack.push_back(user->name());
      }
    }
    return false;
  }

  // The second output is the gradient.
  static bool takes_loss(const tf::NodeDef& user, const std::string& cross_entropy) {
    return std::any_of(user.input().begin(), user.input().end(), [&](const std::string& input) {
      const TensorRef ref = parse_tensor(input);
      return ref.node == cross_entropy && ref.port == 0;
    });
  }

  // The OneHot nodes that the labels are made of. False: samples may be left out on purpose.
  bool find_one_hot(const std::string& labels, Names* found) const {
    std::unordered_set<std::string> seen;
    std::vector<std::string> stack{labels};
    while (!stack.empty()) {
      const tf::NodeDef* from = node(stack.back());
      stack.pop_back();
      if (!from || !seen.insert(from->name()).second) continue;
      if (from->op() == "OneHot") {
        found->insert(from->name());
        continue;
      }
      if (is_one_of(from->op(), {"Select", "SelectV2", "Gather", "GatherV2"})) return false;
      const bool multiplies = is_one_of(from->op(), {"Mul", "RealDiv", "Div"});
      if (!multiplies && !is_one_of(from->op(), {"Identity", "StopGradient", "PreventGradient", "Cast", "Reshape",
                                                 "Squeeze", "ExpandDims", "Add", "AddV2", "Sub", "ConcatV2"}))
        continue;
      int samples = 0;  // factors
      for (const std::string& input : from->input())
        if (!parse_tensor(input).is_control()) {
          samples += multiplies && comes_from_input(input);
          stack.push_back(input);
        }
      if (samples > 1) return false;
    }
    return true;
  }

  void insert(int place, int input, const char* op) {
    tf::NodeDef* user = graph_->mutable_node(place);
    const bool rows = input == 1;
    const std::string name = user->name() + (rows ? "/checked_rows" : "/checked_labels"), checked = user->input(input);
    const tf::DataType type = user->attr().at(rows ? "T" : "TI").type();
    const std::string depth = rows ? "" : user->input(1), loss = user->name();
    // The labels are the input pipeline's, and small: they are looked at where they come from.
    const std::string device = host_of(user->device());
    user->set_input(input, name);
    NodeMaker check(graph_, name, op);
    check.input(checked).attr("T", type).attr("node", loss).device(device);
    if (!rows) check.input(depth);
  }

  tf::GraphDef* graph_;
  const NodeIndex index_;
  std::unordered_map<std::string, std::vector<const tf::NodeDef*>> users_;
};

}  // namespace

int check_labels(tf::GraphDef* graph) { return LabelChecks(graph).add(); }

}  // namespace mox
