// What a mode (TRAIN, EVAL, PREDICT) brings to a run: the engine asks it, and never which one it is.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "graph/built_graph.h"
#include "run/checkpoint_loader.h"
#include "run/cluster_run.h"
#include "run/engine_session.h"
#include "run/finite_weights.h"
#include "run/hook_groups.h"
#include "run/hook_state.h"
#include "run/observers/fetch_plan.h"
#include "run/observers/log_observer.h"
#include "run/run_config.h"
#include "run/step_loop.h"

namespace mox {

// What the steps of a run stand on.
struct RunParts {
  const BuiltGraph& graph;
  EngineSession& session;
  StepWatch& watch;
  const LoadedCheckpoint& start;
  const FiniteWeights& weights;
  int64_t global_step;  // before the first step
  ClusterRun* cluster;  // nullptr: no other process
};

class RunMode {
 public:
  // `cluster`: nullptr without other processes.
  RunMode(RunConfig& config, const std::vector<HookGroup>& hooks, ClusterRun* cluster)
      : config_(config), hooks_(hooks), cluster_(cluster) {}
  virtual ~RunMode();

  // Before anything is done: what must be free, and what options must fit `graph`.
  virtual void check(const BuiltGraph& graph) {}
  // Makes the graph that of this run; may change the options of the session.
  virtual void prepare(BuiltGraph* graph) = 0;
  // After the passes: what says of all nodes where they are.
  virtual void place(BuiltGraph* graph) {}
  // After a checkpoint was chosen, before it is restored.
  virtual void start_from(LoadedCheckpoint* checkpoint, BuiltGraph* graph);
  // Nothing: all steps were done by a run before, which is told.
  virtual std::optional<StepLoopOptions> loop_options(const LoadedCheckpoint& start, const BuiltGraph& graph,
                                                      int64_t global_step) = 0;
  virtual StepObservers observers(const RunParts& parts) = 0;
  // Variables are restored, nothing can be wrong any more: the first step comes.
  virtual void begin(const BuiltGraph& graph) {}
  // After the last step.
  virtual void end(const LoadedCheckpoint& start, RunResult* result) {}

 protected:
  StepLoopOptions common_options(int64_t limit, int64_t global_step) const;
  // The observers that several modes have. Each goes to the end of `all`, where the run has it.
  void add_trace(StepObservers* all) const;
  MetricsObserver& add_metrics(StepObservers* all, const BuiltGraph& graph, FetchPlan::Options plan);
  std::unique_ptr<LogObserver> make_log(const MetricsObserver& metrics, const BuiltGraph& graph, int64_t limit);
  LogObserver& add_log(StepObservers* all, const MetricsObserver& metrics, const BuiltGraph& graph, int64_t limit);
  void add_outputs(StepObservers* all, const BuiltGraph& graph);
  void add_hooks(StepObservers* all, const RunParts& parts, std::optional<HookState> state) const;
  // What the options plan for log_info and output_info.
  FetchPlan::Options fetch_plan() const;

  RunConfig& config_;
  const std::vector<HookGroup>& hooks_;
  ClusterRun* const cluster_;
  std::optional<FetchPlan> plan_;  // once there are observers
};

// All must outlive it. InvalidArgumentError for EXPORT, which has no steps.
std::unique_ptr<RunMode> make_run_mode(ModeKeys mode, RunConfig& config, const std::vector<HookGroup>& hooks,
                                       ClusterRun* cluster);
std::unique_ptr<RunMode> make_train_mode(RunConfig& config, const std::vector<HookGroup>& hooks, ClusterRun* cluster);
std::unique_ptr<RunMode> make_eval_mode(RunConfig& config, const std::vector<HookGroup>& hooks, ClusterRun* cluster);
std::unique_ptr<RunMode> make_predict_mode(RunConfig& config, const std::vector<HookGroup>& hooks, ClusterRun* cluster);

}  // namespace mox
