// What hooks know of a training, kept in its checkpoints.
#pragma once

#include <vector>

#include "graph/built_graph.h"
#include "run/checkpoint_loader.h"
#include "run/engine_session.h"
#include "run/hook_groups.h"

namespace mox {

// A variable `hook_state_<n>` for the n-th of the groups whose hook has a state. Before the session is made.
void add_hook_state(BuiltGraph* graph, const std::vector<HookGroup>& groups);
// Another training's hooks are not this one's.
void forget_hook_state(LoadedCheckpoint* checkpoint);

// Moves the state between hooks and variables.
class HookState {
 public:
  HookState(const std::vector<HookGroup>& groups, EngineSession& session);

  // What the checkpoint had goes to the hooks.
  void restore();
  // What changed goes to the variables.
  void keep();

 private:
  struct Kept {
    SessionRunHook* hook;
    std::string variable;
    std::vector<double> state;
  };

  EngineSession& session_;
  std::vector<Kept> kept_;
};

}  // namespace mox
