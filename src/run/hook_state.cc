#include "run/hook_state.h"

#include <algorithm>

#include "run/state_variable.h"

namespace mox {

namespace tf = tensorflow;

namespace {

constexpr char kVariable[] = "hook_state_";

tf::Tensor to_tensor(const std::vector<double>& state) {
  tf::Tensor tensor(tf::DT_DOUBLE, {static_cast<int64_t>(state.size())});
  std::copy(state.begin(), state.end(), tensor.flat<double>().data());
  return tensor;
}

std::vector<SessionRunHook*> with_state(const std::vector<HookGroup>& groups) {
  std::vector<SessionRunHook*> hooks;
  for (const HookGroup& group : groups)
    if (!group[0]->state().empty()) hooks.push_back(group[0].get());
  return hooks;
}

}  // namespace

void add_hook_state(BuiltGraph* graph, const std::vector<HookGroup>& groups) {
  int number = 0;
  for (const SessionRunHook* hook : with_state(groups))
    add_state_variable(graph, kVariable + std::to_string(number++), to_tensor(hook->state()));
}

void forget_hook_state(LoadedCheckpoint* checkpoint) {
  std::erase_if(checkpoint->values, [](const auto& value) { return value.first.rfind(kVariable, 0) == 0; });
}

HookState::HookState(const std::vector<HookGroup>& groups, EngineSession& session) : session_(session) {
  for (SessionRunHook* hook : with_state(groups))
    kept_.push_back({hook, kVariable + std::to_string(kept_.size()), hook->state()});
}

void HookState::restore() {
  for (Kept& kept : kept_) {
    const tf::Tensor saved = session_.read(kept.variable);
    const double* data = saved.flat<double>().data();
    const std::vector<double> state(data, data + saved.NumElements());
    if (state == kept.state) continue;
    kept.hook->restore_state(state);
    kept.state = state;
  }
}

void HookState::keep() {
  for (Kept& kept : kept_) {
    std::vector<double> state = kept.hook->state();
    if (state == kept.state) continue;
    kept.state = std::move(state);
    session_.assign(kept.variable, to_tensor(kept.state));
  }
}

}  // namespace mox
