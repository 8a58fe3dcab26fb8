#include "run/hook_groups.h"

#include <fmt/format.h>

#include "moxing/error.h"
#include "moxing/log.h"

namespace mox {
namespace {

using Hooks = std::vector<std::shared_ptr<SessionRunHook>>;

const AggregativeSessionRunHook* aggregative(const std::shared_ptr<SessionRunHook>& hook) {
  return dynamic_cast<const AggregativeSessionRunHook*>(hook.get());
}

bool aggregates(const std::shared_ptr<SessionRunHook>& hook) {
  return aggregative(hook) && aggregative(hook)->support_aggregation();
}

bool in_inter_mode(const std::shared_ptr<SessionRunHook>& hook) {
  return aggregative(hook) && aggregative(hook)->run_inter_mode();
}

Hooks running(const Hooks& hooks, bool inter) {
  Hooks own;
  for (const auto& hook : hooks)
    if (hook_runs(*hook, inter)) own.push_back(hook);
  return own;
}

void check_inter_mode(const BuiltGraph& graph, const Hooks& hooks) {
  const bool wanted = std::any_of(hooks.begin(), hooks.end(), in_inter_mode);
  if (!wanted || (graph.inter && std::any_of(graph.inter->hooks.begin(), graph.inter->hooks.end(), in_inter_mode)))
    return;
  if (graph.inter)
    throw InvalidArgumentError(fmt::format(
        "model_fn has a hook that runs in inter_mode when it is called in mode {}, but none when it is called in "
        "inter_mode {}; make the hook in both",
        to_string(graph.mode), to_string(graph.inter->mode)));
  if (graph.mode == ModeKeys::TRAIN)
    throw InvalidArgumentError(
        "ModelSpec.hooks has a hook that runs in inter_mode (EarlyStoppingHook and the like evaluate there), and run "
        "has "
        "no inter_mode; give inter_mode=EVAL, or leave the hook out");
  log_info(fmt::format("hooks that run in inter_mode are not used in {}", to_string(graph.mode)));
}

}  // namespace

// model_fn makes all its hooks in both modes: each mode uses its own.
bool hook_runs(const SessionRunHook& hook, bool inter) {
  const auto* aggregative = dynamic_cast<const AggregativeSessionRunHook*>(&hook);
  const bool in_inter_mode = aggregative && aggregative->run_inter_mode();
  return in_inter_mode == inter || (inter && dynamic_cast<const FeedSessionRunHook*>(&hook));
}

std::vector<HookGroup> group_hooks(const BuiltGraph& graph) {
  std::vector<HookGroup> groups;
  std::vector<Hooks> devices;
  for (const TowerInfo& tower : graph.towers) {
    check_inter_mode(graph, tower.hooks);
    devices.push_back(running(tower.hooks, false));
    if (devices.back().size() != devices[0].size())
      throw InvalidArgumentError(
          fmt::format("model_fn has {} hooks on device 0 and {} on device {}; it must make the "
                      "same ones for each device",
                      devices[0].size(), devices.back().size(), devices.size() - 1));
  }
  for (size_t i = 0; !devices.empty() && i < devices[0].size(); ++i) {
    const bool as_one = aggregates(devices[0][i]);
    for (const Hooks& hooks : devices) {
      if (!as_one || groups.empty() || &hooks == &devices[0]) groups.emplace_back();
      groups.back().push_back(hooks[i]);
    }
  }
  if (graph.inter)
    for (const auto& hook : running(graph.inter->hooks, true)) groups.push_back({hook});
  return groups;
}

}  // namespace mox
