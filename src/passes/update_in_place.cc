#include "passes/update_in_place.h"

#include <algorithm>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "graph/node_defs.h"

namespace mox {

namespace tf = tensorflow;

namespace {

using Nodes = std::unordered_map<std::string, std::vector<const tf::NodeDef*>>;

bool is_update(const tf::NodeDef& node) { return node.op().rfind("ResourceApply", 0) == 0; }

// Whose result is the memory that went in.
bool is_alias(const tf::NodeDef& node) {
  return is_one_of(node.op(), {"Identity", "Reshape", "Squeeze", "ExpandDims"});
}

// Frames of loops and branches: what is outside cannot wait for what is inside.
bool is_control_flow(const tf::NodeDef& node) {
  return is_one_of(node.op(), {"Enter", "Exit", "NextIteration", "Switch", "Merge", "LoopCond"});
}

// Readers of each node's results, and who waits for it.
Nodes readers_of(const tf::GraphDef& graph) {
  Nodes readers;
  for (const tf::NodeDef& node : graph.node())
    for (const std::string& input : node.input()) readers[node_of(input)].push_back(&node);
  return readers;
}

// All that is reached from the updates by `next`, and they themselves.
template <typename Next>
std::unordered_set<std::string> reached_from_updates(const tf::GraphDef& graph, const Next& next) {
  std::unordered_set<std::string> reached;
  std::vector<std::string> stack;
  for (const tf::NodeDef& node : graph.node())
    if (is_update(node)) stack.push_back(node.name());
  while (!stack.empty()) {
    const std::string name = stack.back();
    stack.pop_back();
    if (reached.insert(name).second) next(name, &stack);
  }
  return reached;
}

// What runs after an update: nothing of it can be waited for.
std::unordered_set<std::string> after_updates(const tf::GraphDef& graph, const Nodes& readers) {
  return reached_from_updates(graph, [&](const std::string& name, std::vector<std::string>* stack) {
    if (const auto found = readers.find(name); found != readers.end())
      for (const tf::NodeDef* reader : found->second) stack->push_back(reader->name());
  });
}

// What a step with updates runs. Summaries, evaluations and the like read variables, too: no update may call for them.
std::unordered_set<std::string> needed_by_updates(const tf::GraphDef& graph) {
  const NodeIndex index = index_nodes(graph);
  return reached_from_updates(graph, [&](const std::string& name, std::vector<std::string>* stack) {
    if (const auto found = index.find(name); found != index.end())
      for (const std::string& input : found->second->input()) stack->push_back(node_of(input));
  });
}

// Those on `device` that compute with the value of `node`, also behind aliases.
void add_users(const Nodes& readers, const std::string& node, const std::string& device, std::set<std::string>* users) {
  const auto found = readers.find(node);
  if (found == readers.end()) return;
  for (const tf::NodeDef* reader : found->second) {
    const bool reads = std::any_of(reader->input().begin(), reader->input().end(), [&](const std::string& input) {
      const TensorRef ref = parse_tensor(input);
      return ref.node == node && !ref.is_control();
    });
    if (!reads) continue;
    if (is_alias(*reader))
      add_users(readers, reader->name(), device, users);
    else if (!is_control_flow(*reader) && reader->device() == device)
      users->insert(reader->name());
  }
}

}  // namespace

int update_variables_in_place(tf::GraphDef* graph) {
  const Nodes readers = readers_of(*graph);
  const auto after = after_updates(*graph, readers);
  const auto needed = needed_by_updates(*graph);
  int count = 0;
  for (tf::NodeDef& node : *graph->mutable_node()) {
    if (!is_update(node)) continue;
    std::set<std::string> users;
    for (const tf::NodeDef* reader : readers.at(node_of(node.input(0))))
      if (reader->op() == "ReadVariableOp") add_users(readers, reader->name(), node.device(), &users);
    std::erase_if(users, [&](const std::string& user) { return after.count(user) > 0 || needed.count(user) == 0; });
    for (const std::string& user : users) node.add_input("^" + user);
    count += users.empty() ? 0 : 1;
  }
  return count;
}

}  // namespace mox
