// What a built graph's operations do with its variables, and who depends on whom.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "graph/built_graph.h"

namespace mox {

class VariableUses {
 public:
  // `graph` must stay as it is while this is used.
  explicit VariableUses(const BuiltGraph& graph);

  int node(const std::string& name) const;  // index in the GraphDef, -1: there is none
  // Of tensors; those that there are.
  std::vector<int> nodes_of(const std::vector<std::string>& tensors) const;
  int size() const { return static_cast<int>(uses_.size()); }
  // The variables (indices in graph.variables) whose handles a node gives, hands on or takes.
  const std::vector<int>& of(int node) const { return uses_[node]; }
  // Whether the node changes the variables that it uses.
  bool writes(int node) const;

  // [node]: whether it depends on one of `roots`, by data or by control; what depends on a node of `ends` only through
  // that one does not count.
  std::vector<bool> descendants(const std::vector<int>& roots, const std::vector<int>& ends = {}) const;
  // [node]: whether one of `leaves` depends on it, or is it.
  std::vector<bool> ancestors(const std::vector<int>& leaves) const;
  const std::vector<int>& inputs(int node) const { return inputs_[node]; }
  const std::vector<int>& readers(int node) const { return readers_[node]; }

 private:
  const BuiltGraph& graph_;
  std::unordered_map<std::string, int> position_;
  std::vector<std::vector<int>> inputs_, readers_, uses_;
};

}  // namespace mox
