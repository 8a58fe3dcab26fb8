// The loop over steps: what is fetched when, logs, summaries, checkpoints, output_fn, and how it ends.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "run/checkpoint_writer.h"
#include "run/engine_session.h"
#include "run/hook_runner.h"
#include "run/run_config.h"
#include "run/step_logger.h"
#include "run/step_watch.h"
#include "run/summary_writer.h"
#include "run/tower_inputs.h"

namespace mox {

class StepLoop {
 public:
  StepLoop(const BuiltGraph& graph, const RunConfig& config, const std::vector<HookGroup>& hooks,
           EngineSession& session, const LoadedCheckpoint& start, const FiniteWeights& weights,
           int64_t first_global_step);
  ~StepLoop();

  // Has TensorFlow optimize the graph for the first step, where it is known what that fetches: what is wrong with the
  // graph is told before the training begins. Otherwise the first step does it.
  void prepare_first();
  // Until the limit, the end of the input, a hook that asks to stop, or a signal.
  RunResult run();

 private:
  // What one step fetches, beside the losses.
  struct Wants {
    bool log = false, summary = false, output = false;
    bool line = false;  // of the log
    int towers = 0;     // that take part
    int64_t key() const { return log | summary << 1 | output << 2 | towers << 3; }
  };
  // A prepared step and where its fetches are in the result.
  struct Step {
    EngineSession::Prepared run;
    std::vector<std::string> fetches, targets, feeds;
    int towers = 0, logged = 0;  // that take part, whose log_info is fetched
    size_t log_info = 0, learning_rate = 0, summaries = 0, outputs = 0, hooks = 0;
  };

  Wants wants_of(int64_t step) const;
  const Step& prepared(Wants wants, const HookRunner::Additions& hooks);
  // One step with all that belongs to it. True: a hook asks to stop.
  bool step();
  void run_steps();
  std::vector<tensorflow::Tensor> run_step(const Step& step);
  std::vector<tensorflow::Tensor> run_traced_step(const Step& step, const std::vector<tensorflow::Tensor>& fed);
  void check_losses(const std::vector<tensorflow::Tensor>& fetched, int64_t step);
  Metrics log_info_of(const std::vector<tensorflow::Tensor>& fetched, const Step& step) const;
  void collect_outputs(const std::vector<tensorflow::Tensor>& fetched, const Step& step);
  void deliver_outputs();
  void log(int64_t step, Wants wants, const Step& prepared, const std::vector<tensorflow::Tensor>& fetched);
  void accumulate(const Metrics& metrics, int towers);
  bool save_is_due() const;
  void save();
  void save_after_error();
  void check_saved();
  std::string last_checkpoint();
  void finish();
  bool limit_reached() const { return config_.max_number_of_steps > 0 && local_step_ >= limit_; }

  const BuiltGraph& graph_;
  const RunConfig& config_;
  EngineSession& session_;
  const int64_t first_global_step_;
  int64_t limit_ = 0;       // local steps; only with max_number_of_steps
  int64_t local_step_ = 0;  // steps done
  int64_t saved_at_ = -1;   // local step of the last save
  bool sound_ = true;       // the variables are those after local_step_ steps
  bool interrupted_ = false;
  std::chrono::steady_clock::time_point last_save_time_;

  std::map<int64_t, Step> steps_;
  std::vector<OutputDict> outputs_;
  Metrics last_metrics_, sums_;
  int64_t summed_ = 0;  // steps, times the devices whose log_info counts
  std::unique_ptr<StepLogger> logger_;
  std::unique_ptr<SummaryWriter> summaries_;
  std::unique_ptr<CheckpointWriter> checkpoints_;
  std::unique_ptr<StepWatch> watch_;
  HookRunner hooks_;
  SummaryWriter* histograms_ = nullptr;  // summaries_, when histograms are wanted
  MetricMean monitored_;
  std::optional<TowerInputs> inputs_;  // only when devices take their inputs one by one
};

}  // namespace mox
