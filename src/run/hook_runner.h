// Calls the hooks around each step, and gives them the session.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "run/engine_session.h"
#include "run/hook_groups.h"
#include "run/hook_state.h"
#include "run/step_watch.h"

namespace mox {

class HookRunner {
 public:
  // What the hooks add to a step. Additions that are the same have the same id, 0 for none.
  struct Additions {
    int id = 0;
    std::vector<std::string> fetches, targets, feeds;
  };

  // All must outlive it.
  HookRunner(const BuiltGraph& graph, const std::vector<HookGroup>& groups, EngineSession& session, StepWatch& watch);
  ~HookRunner();

  bool empty() const { return groups_.empty(); }
  void after_create_session();
  // The reference holds until the next call; fed() are the values, in the order of `feeds`.
  const Additions& before_run(int64_t local_step, int64_t global_step);
  const std::vector<tensorflow::Tensor>& fed() const { return fed_; }
  // `fetched` from `first` on are the results of Additions::fetches. True when a hook asks to stop.
  bool after_run(const std::vector<tensorflow::Tensor>& fetched, size_t first);
  void end();

 private:
  class Session;

  void add(const SessionRunArgs& args, size_t group);
  const Additions& interned();

  const std::vector<HookGroup>& groups_;
  std::unique_ptr<Session> session_;
  std::optional<HookState> state_;  // TRAIN
  std::map<std::vector<std::string>, Additions> known_;
  // Of the step under way.
  Additions additions_;
  std::vector<tensorflow::Tensor> fed_;
  std::vector<SessionRunContext> contexts_;       // [group]
  std::vector<std::vector<size_t>> num_results_;  // [group][device]
};

}  // namespace mox
