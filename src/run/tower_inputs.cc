#include "run/tower_inputs.h"

#include <algorithm>
#include <set>

#include "graph/node_defs.h"

namespace mox {

namespace tf = tensorflow;

void detach_tower_inputs(BuiltGraph* graph) {
  std::set<std::string> inputs;
  for (const TowerInfo& tower : graph->towers)
    for (const std::string& tensor : tower.inputs) inputs.insert(node_of(tensor));
  for (tf::NodeDef& node : *graph->graph.mutable_node()) {
    if (!inputs.count(node.name())) continue;
    auto* in = node.mutable_input();
    in->erase(std::remove_if(in->begin(), in->end(), [](const std::string& i) { return parse_tensor(i).is_control(); }),
              in->end());
  }
}

TowerInputs::TowerInputs(const BuiltGraph& graph, EngineSession& session) : graph_(graph), session_(session) {
  for (const TowerInfo& tower : graph.towers) fetch_.push_back(session.prepare(tower.inputs, {}));
}

int TowerInputs::next() {
  fed_.clear();
  int towers = 0;
  try {
    for (const EngineSession::Prepared& fetch : fetch_) {
      const std::vector<tf::Tensor> batch = session_.run(fetch);
      fed_.insert(fed_.end(), batch.begin(), batch.end());
      ++towers;
    }
  } catch (const EndOfInput&) {
    if (towers == 0) throw;
  }
  return towers;
}

std::vector<std::string> TowerInputs::feeds(int towers) const {
  std::vector<std::string> names;
  for (int tower = 0; tower < towers; ++tower)
    names.insert(names.end(), graph_.towers[tower].inputs.begin(), graph_.towers[tower].inputs.end());
  return names;
}

}  // namespace mox
