// Evaluation on several devices: the last step may have a batch for some of them only. (A training drops what does not
// fill a step.)
#pragma once

#include <string>
#include <vector>

#include "run/engine_session.h"

namespace mox {

// The devices' inputs no longer wait for each other: TowerInputs fetches them in order. Before the session is made.
void detach_tower_inputs(BuiltGraph* graph);

// Fetches the devices' batches in a run of their own, so that one that has none takes nothing from the others.
class TowerInputs {
 public:
  TowerInputs(const BuiltGraph& graph, EngineSession& session);

  // How many devices, from the first on, have a batch. Throws EndOfInput for none.
  int next();
  // What is to be fed for the first `towers` devices.
  std::vector<std::string> feeds(int towers) const;
  const std::vector<tensorflow::Tensor>& fed() const { return fed_; }

 private:
  const BuiltGraph& graph_;
  EngineSession& session_;
  std::vector<EngineSession::Prepared> fetch_;  // [tower]
  std::vector<tensorflow::Tensor> fed_;
};

}  // namespace mox
