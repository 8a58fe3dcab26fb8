#include "graph/graph_walk.h"

#include <unordered_map>

namespace mox {

bool updates_variable(const tensorflow::NodeDef& node) {
  for (const char* prefix : {"Assign", "ResourceScatter", "ResourceApply", "ResourceSparseApply"})
    if (node.op().rfind(prefix, 0) == 0) return true;
  return false;
}

Names ancestors(const NodeIndex& index, const std::vector<std::string>& from, const Names& stop) {
  Names seen;
  std::vector<std::string> stack = from;
  while (!stack.empty()) {
    const std::string name = node_of(stack.back());
    stack.pop_back();
    if (stop.count(name) || !seen.insert(name).second) continue;
    for (const std::string& input : require_node(index, name, "what a step needs").input()) stack.push_back(input);
  }
  return seen;
}

Names followers(const tensorflow::GraphDef& graph, const std::vector<std::string>& from) {
  std::unordered_map<std::string, std::vector<const tensorflow::NodeDef*>> users;
  for (const tensorflow::NodeDef& node : graph.node())
    for (const std::string& input : node.input()) users[node_of(input)].push_back(&node);
  Names seen;
  std::vector<std::string> stack = from;
  while (!stack.empty()) {
    const std::string name = stack.back();
    stack.pop_back();
    if (!seen.insert(name).second) continue;
    for (const tensorflow::NodeDef* user : users[name])
      if (user->op() != "Merge") stack.push_back(user->name());
  }
  return seen;
}

}  // namespace mox
