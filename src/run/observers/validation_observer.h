// Validates while it trains: every so many epochs or steps, and once at the end.
//
// The chief alone evaluates, on the weights as they are; the others wait for what it made of it: without parameter
// servers the state of the judge and the learning rate's factor are variables of each process, which the chief's values
// go to, so that all go on alike and a process that comes later takes them with the rest of the state.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "graph/built_graph.h"
#include "run/checkpoint_writer.h"
#include "run/cluster_run.h"
#include "run/epoch_clock.h"
#include "run/observers/log_observer.h"
#include "run/run_config.h"
#include "run/step_observer.h"
#include "run/summary_writer.h"
#include "run/validation.h"
#include "run/validation_judge.h"
#include "run/validation_names.h"

namespace mox {

// What judges: eval_monitor, else keep_best, else loss, else the first of log_info of mode EVAL. InvalidArgumentError
// when what is asked for is not there. `graph` has the inter_mode.
std::string monitored_metric(const BuiltGraph& graph, const RunConfig& config);
// The judge's options; `metric`: as monitored_metric has it, "" at processes that do not evaluate.
ValidationJudge::Options judge_options(const RunConfig& config, std::string metric);

// The variables that all processes need. Before the session is made.
void add_validation_state(BuiltGraph* graph, const RunConfig& config);

class MOX_EXPORT ValidationObserver : public StepObserver {
 public:
  struct Parts {
    const BuiltGraph& graph;
    EngineSession& session;
    StepWatch& watch;
    ClusterRun* cluster;                 // nullptr: no other process
    LogObserver* log = nullptr;          // the chief's
    std::string events_dir = "";         // "": none are written
    int64_t last_step = 0;               // of the model, after which the run ends; 0: not known
    CheckpointWriter* writer = nullptr;  // knows the best checkpoint that is there; nullptr: nothing is saved
  };
  ValidationObserver(const RunConfig& config, Parts parts);
  ~ValidationObserver() override;

  void begin(const StepNumber& next) override;
  void after_step(const StepResult& result) override;
  void end(const Ending& ending) override;
  void report(const Ending& ending, RunResult* result) override;

  // Whether the checkpoint of this step is to be saved: it has the best value of keep_best.
  bool wants_checkpoint() const { return wants_checkpoint_; }
  // That value, for the checkpoint of the step after which it was measured.
  std::optional<double> checkpoint_value() const;

 private:
  bool is_due(int64_t before, int64_t after) const;
  // The chief's part; whether the training is to end.
  bool validate(int64_t global_step);
  std::optional<Validation::Result> measure(int64_t global_step);
  void tell(const Validation::Result& result, int64_t global_step);
  void lower_learning_rate();
  void look_for_best(const Validation::Result& result);
  // What the chief made of it, or nothing.
  void follow(int64_t global_step);
  void share(int64_t global_step);
  std::string epoch_text(int64_t global_step) const;

  const RunConfig& config_;
  const Parts parts_;
  const EpochClock clock_;
  const bool evaluates_;
  ValidationJudge judge_;
  Validation validation_;
  std::unique_ptr<SummaryWriter> events_;
  Metrics last_;
  int64_t step_ = 0, validated_at_ = -1;  // global steps
  std::optional<double> checkpoint_value_;
  bool wants_checkpoint_ = false;
};

}  // namespace mox
