// Variables that lie in checkpoints as pieces and are computed with as a whole: the paths of a ResNeXt of form B.
#pragma once

#include <string>
#include <vector>

#include "graph/graph_state.h"

namespace mox {

// While it lives, what is made below `scope` (its variable scope's name) is `count` variables, each with a piece of the
// last dimension: `<scope>/a/b` becomes `<scope>/<prefix>1/a/b` to `<scope>/<prefix>count/a/b`, and its value their
// concatenation.
class SplitVariables {
 public:
  SplitVariables(const Scope& scope, const std::string& prefix, int count);
  ~SplitVariables();
  SplitVariables(const SplitVariables&) = delete;
  SplitVariables& operator=(const SplitVariables&) = delete;

 private:
  GraphState& state_;
  GraphState::Split before_;
};

// The pieces of what get_variable_object returned; itself where it is whole.
std::vector<Variable> pieces_of(const Scope& scope, const Variable& variable);

}  // namespace mox
