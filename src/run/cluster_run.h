// This process among those that run together: who is there, whose state counts, which part of the input is whose.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "exchange/exchange.h"
#include "graph/built_graph.h"
#include "run/checkpoint_loader.h"
#include "run/engine_session.h"
#include "run/run_config.h"
#include "run/session_factory.h"
#include "run/step_peers.h"

namespace mox {

// One way to do it: CollectiveRun, ServerRun. The methods in this order.
class ClusterRun : public StepPeers {
 public:
  // nullptr: the flags name no other process.
  static std::unique_ptr<ClusterRun> of(const RunConfig& config);

  bool is_chief() const { return config_.cluster.is_chief(); }
  int64_t processes() const { return static_cast<int64_t>(config_.cluster.worker_hosts.size()); }
  // Those that do the steps now: fewer while some are lost and the others go on.
  virtual int64_t taking_part() const { return processes(); }

  // What joins the gradients of a training; this must outlive it.
  virtual std::unique_ptr<Exchange> make_exchange() = 0;
  // After all passes. `graph` must outlive this. `reload` loads what the chief goes on from when the state was lost.
  using Reload = std::function<LoadedCheckpoint()>;
  virtual void prepare(BuiltGraph* graph, const Reload& reload) = 0;
  // Makes the session on the graph, waits for the others; gives variables their values (`checkpoint`: the chief's, or
  // what the others have), says what part of the input each reads, and begins it. Returns the global step.
  virtual int64_t start(EngineSession* session, const LoadedCheckpoint& checkpoint) = 0;

  // The chief is lost, and this is the first of those that go on without it.
  virtual bool stands_in() const { return false; }

  // Sums over all processes, in place. Each must call it the same number of times; an error when one is lost.
  virtual void sum(std::vector<double>* values);
  // What all say, in the order of the processes. As sum().
  virtual std::vector<std::string> gather(const std::string& mine);

  // TRAIN, between two steps, `global_step` being the model's after the one before: the chief's values go to the
  // others, who wait for them. Each must call it after the same steps. False at the others where they need nothing of
  // the chief, whose variables are theirs, or where it is not there.
  virtual bool from_chief(std::vector<double>* /*values*/, int64_t /*global_step*/) { return false; }

  // After the last step, which left the model at `global_step`: waits until no process has one, so that a process that
  // was lost is taken along to the end.
  virtual void finish(int64_t global_step) = 0;
  // The process is done; the others are told an `error`.
  virtual void leave(const std::string& error) = 0;

 protected:
  explicit ClusterRun(const RunConfig& config) : config_(config) {}

  const RunConfig& config_;
};

// What must be the same at all processes: else they would train different models, or end at different steps.
std::vector<std::pair<std::string, std::string>> settings_of_all(const RunConfig& config, const BuiltGraph& graph);

}  // namespace mox
