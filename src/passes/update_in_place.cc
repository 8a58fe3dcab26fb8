#include "passes/update_in_place.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "graph/node_defs.h"
#include "graph/variable_uses.h"

namespace mox {

namespace tf = tensorflow;

namespace {

bool is_update(const tf::NodeDef& node) { return node.op().rfind("ResourceApply", 0) == 0; }

// Whose result is the memory that went in.
bool is_alias(const tf::NodeDef& node) {
  return is_one_of(node.op(), {"Identity", "Reshape", "Squeeze", "ExpandDims"});
}

// Frames of loops and branches: what is outside cannot wait for what is inside.
bool is_control_flow(const tf::NodeDef& node) {
  return is_one_of(node.op(), {"Enter", "Exit", "NextIteration", "Switch", "Merge", "LoopCond"});
}

// Looks for those that compute with what was read of a variable.
class Users {
 public:
  Users(const tf::GraphDef& graph, const std::vector<int>& updates, const VariableUses& uses)
      : graph_(graph), uses_(uses), after_(uses.descendants(updates)), needed_(uses.ancestors(updates)) {}

  // Names, on the update's own device. What runs after an update cannot be waited for. Summaries, evaluations and the
  // like read variables, too: what no update of a step needs is not called for.
  std::set<std::string> before(const tf::NodeDef& update) const {
    std::set<std::string> users;
    for (const int reader : uses_.readers(uses_.node(node_of(update.input(0)))))
      if (graph_.node(reader).op() == "ReadVariableOp") add(reader, update.device(), &users);
    return users;
  }

 private:
  void add(int value, const std::string& device, std::set<std::string>* users) const {
    for (const int reader : uses_.readers(value)) {
      const tf::NodeDef& node = graph_.node(reader);
      const bool reads = std::any_of(node.input().begin(), node.input().end(), [&](const std::string& input) {
        return !parse_tensor(input).is_control() && uses_.node(node_of(input)) == value;
      });
      if (!reads) continue;
      if (is_alias(node))
        add(reader, device, users);
      else if (!after_[reader] && needed_[reader] && !is_control_flow(node) && node.device() == device)
        users->insert(node.name());
    }
  }

  const tf::GraphDef& graph_;
  const VariableUses& uses_;
  const std::vector<bool> after_, needed_;
};

}  // namespace

int update_variables_in_place(BuiltGraph* graph) {
  std::vector<int> updates;
  for (int i = 0; i < graph->graph.node_size(); ++i)
    if (is_update(graph->graph.node(i))) updates.push_back(i);
  if (updates.empty()) return 0;
  const VariableUses uses(*graph);
  const Users users(graph->graph, updates, uses);
  int count = 0;
  for (const int update : updates) {
    tf::NodeDef* node = graph->graph.mutable_node(update);
    const std::set<std::string> before = users.before(*node);
    for (const std::string& user : before) node->add_input("^" + user);
    count += before.empty() ? 0 : 1;
  }
  return count;
}

}  // namespace mox
