// The user's hooks around each step, as one observer; gives them the session.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "run/engine_session.h"
#include "run/hook_groups.h"
#include "run/hook_state.h"
#include "run/step_observer.h"
#include "run/step_watch.h"

namespace mox {

class HookRunner : public StepObserver {
 public:
  // All must outlive it. `state`: what hooks keep in checkpoints, where the run has some.
  HookRunner(const BuiltGraph& graph, const std::vector<HookGroup>& groups, EngineSession& session, StepWatch& watch,
             std::optional<HookState> state);
  ~HookRunner() override;

  void begin(const StepNumber& next) override;
  int64_t wants(const StepNumber& number) override;
  bool plans_ahead() const override { return false; }
  void request(int64_t wanted, StepRequest* request) const override;
  void feed(std::vector<tensorflow::Tensor>* values) override;
  void after_step(const StepResult& result) override;
  void end(const Ending& ending) override;

 private:
  class Session;
  // What the hooks add to a step.
  struct Additions {
    std::vector<std::string> fetches, targets, feeds;
  };

  void add(const SessionRunArgs& args, size_t group);
  int64_t interned();

  const std::vector<HookGroup>& groups_;
  std::unique_ptr<Session> session_;
  std::optional<HookState> state_;
  std::map<std::vector<std::string>, int64_t> ids_;
  std::vector<Additions> known_;  // [id - 1]
  // Of the step under way.
  Additions additions_;
  std::vector<tensorflow::Tensor> fed_;
  std::vector<SessionRunContext> contexts_;       // [group]
  std::vector<std::vector<size_t>> num_results_;  // [group][device]
};

}  // namespace mox
