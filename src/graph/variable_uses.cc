#include "graph/variable_uses.h"

#include <algorithm>
#include <unordered_set>

#include "graph/node_defs.h"

namespace mox {

namespace {

// Hands a resource on: in frames and branches of control flow.
bool passes_on(const std::string& op) {
  static const std::unordered_set<std::string> kOps = {"Enter", "Exit", "Identity", "Merge", "NextIteration", "Switch"};
  return kOps.count(op) > 0;
}

// Of a function that is called it is taken to be so: models read their variables in branches and loops.
bool only_looks(const std::string& op) {
  static const std::unordered_set<std::string> kOps = {"Case",
                                                       "If",
                                                       "PartitionedCall",
                                                       "ReadVariableOp",
                                                       "ResourceGather",
                                                       "ResourceGatherNd",
                                                       "StatelessCase",
                                                       "StatelessIf",
                                                       "StatefulPartitionedCall",
                                                       "StatelessWhile",
                                                       "VarHandleOp",
                                                       "VarIsInitializedOp",
                                                       "VariableShape",
                                                       "While"};
  return kOps.count(op) > 0 || passes_on(op);
}

void add(std::vector<int>* all, int value) {
  if (std::find(all->begin(), all->end(), value) == all->end()) all->push_back(value);
}

std::vector<bool> reached(std::vector<int> stack, size_t size, const std::vector<std::vector<int>>& next,
                          std::vector<bool> stops) {
  std::vector<bool> seen(size);
  for (const int root : stack) seen[root] = true;
  while (!stack.empty()) {
    const int at = stack.back();
    stack.pop_back();
    for (const int other : next[at]) {
      if (seen[other] || stops[other]) continue;
      seen[other] = true;
      stack.push_back(other);
    }
  }
  return seen;
}

}  // namespace

VariableUses::VariableUses(const BuiltGraph& graph) : graph_(graph) {
  const int size = graph.graph.node_size();
  for (int i = 0; i < size; ++i) position_[graph.graph.node(i).name()] = i;
  inputs_.resize(size);
  readers_.resize(size);
  uses_.resize(size);
  for (int i = 0; i < size; ++i)
    for (const std::string& input : graph.graph.node(i).input()) {
      const int from = node(node_of(input));
      if (from < 0) continue;
      add(&inputs_[i], from);
      add(&readers_[from], i);
    }
  std::vector<int> carriers;
  for (size_t v = 0; v < graph.variables.size(); ++v) {
    const int handle = node(graph.variables[v].handle);
    if (handle < 0) continue;
    uses_[handle].push_back(static_cast<int>(v));
    carriers.push_back(handle);
  }
  for (size_t next = 0; next < carriers.size(); ++next) {
    const int carrier = carriers[next];
    for (const int reader : readers_[carrier]) {
      const tensorflow::NodeDef& def = graph.graph.node(reader);
      const bool takes = std::any_of(def.input().begin(), def.input().end(), [&](const std::string& input) {
        return !parse_tensor(input).is_control() && node(node_of(input)) == carrier;
      });
      if (!takes) continue;
      const size_t before = uses_[reader].size();
      for (const int variable : uses_[carrier]) add(&uses_[reader], variable);
      if (uses_[reader].size() > before && passes_on(def.op())) carriers.push_back(reader);
    }
  }
}

int VariableUses::node(const std::string& name) const {
  const auto found = position_.find(name);
  return found == position_.end() ? -1 : found->second;
}

std::vector<int> VariableUses::nodes_of(const std::vector<std::string>& tensors) const {
  std::vector<int> nodes;
  for (const std::string& tensor : tensors)
    if (const int found = node(node_of(tensor)); found >= 0) nodes.push_back(found);
  return nodes;
}

bool VariableUses::writes(int node) const { return !uses_[node].empty() && !only_looks(graph_.graph.node(node).op()); }

std::vector<bool> VariableUses::descendants(const std::vector<int>& roots, const std::vector<int>& ends) const {
  std::vector<bool> stops(uses_.size());
  for (const int end : ends) stops[end] = true;
  return reached(roots, uses_.size(), readers_, std::move(stops));
}

std::vector<bool> VariableUses::ancestors(const std::vector<int>& leaves) const {
  return reached(leaves, uses_.size(), inputs_, std::vector<bool>(uses_.size()));
}

}  // namespace mox
