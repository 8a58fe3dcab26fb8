// Hooks: user code around every step. A ModelSpec carries them; see docs/hooks.md.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "moxing/error.h"
#include "moxing/export.h"
#include "moxing/scope.h"
#include "tensorflow/cc/framework/ops.h"
#include "tensorflow/core/framework/tensor.h"

namespace mox {

// A tensor or an operation of the graph, by its name.
class MOX_EXPORT Fetch {
 public:
  template <typename T>
  requires std::convertible_to<T, tensorflow::Output> Fetch(const T& tensor) : Fetch(tensorflow::Output(tensor)) {}
  Fetch(const tensorflow::Output& tensor);
  Fetch(const tensorflow::Operation& operation);  // runs, and has no result
  Fetch(std::string name);                        // "node:port", or "node" for an operation
  Fetch(const char* name) : Fetch(std::string(name)) {}

  const std::string& name() const { return name_; }
  bool is_operation() const { return name_.find(':') == std::string::npos; }

 private:
  std::string name_;
};

using FeedDict = std::vector<std::pair<Fetch, tensorflow::Tensor>>;

// The input ended while a hook ran something: left uncaught, it ends the run as the end of the training input does.
class MOX_EXPORT OutOfRangeError : public Error {
 public:
  explicit OutOfRangeError(const std::string& message) : Error(message) {}
  ~OutOfRangeError() override;
};

// What a hook can do with the session. Valid during the call that hands it over.
class MOX_EXPORT HookSession {
 public:
  virtual ~HookSession();
  // Runs what the fetches need; the results of those that are tensors, in order. What the hooks' before_run fed in this
  // step is fed here too, unless `feed_dict` says otherwise. OutOfRangeError, RunError.
  virtual std::vector<tensorflow::Tensor> run(const std::vector<Fetch>& fetches, const FeedDict& feed_dict = {}) = 0;
  // Lets the input of inter_mode begin again. InvalidArgumentError in a run without inter_mode.
  virtual void restart_input() = 0;
  // Multiplies the learning rate of all coming steps; the factor is part of the checkpoints. InvalidArgumentError where
  // no hook of this run is a PlateauLREarlyStoppingHook, which is what prepares the graph for it.
  virtual void multiply_learning_rate(float factor) = 0;
  virtual int num_devices() const = 0;
};

struct SessionRunArgs {
  std::vector<Fetch> fetches;  // computed with the step
  FeedDict feed_dict;          // two hooks that feed the same tensor are an error
};

// What a hook may know and ask during a step.
class MOX_EXPORT SessionRunContext {
 public:
  SessionRunContext(HookSession& session, int64_t local_step, int64_t global_step)
      : session_(session), local_step_(local_step), global_step_(global_step) {}

  HookSession& session() { return session_; }
  int64_t local_step() const { return local_step_; }    // of this run, from 0
  int64_t global_step() const { return global_step_; }  // of the model, before this step
  // The run ends after this step as if it were the last; a checkpoint is saved.
  void request_stop() { stop_requested_ = true; }
  bool stop_requested() const { return stop_requested_; }

 private:
  HookSession& session_;
  const int64_t local_step_, global_step_;
  bool stop_requested_ = false;
};

struct SessionRunValues {
  std::vector<tensorflow::Tensor> results;  // of the tensors in SessionRunArgs::fetches, in order
};

// Override what is needed. What a method throws ends the run, and comes out of mox::run.
class MOX_EXPORT SessionRunHook {
 public:
  virtual ~SessionRunHook();
  // The graph is built, and may still be added to, with `scope`. Called once.
  virtual void begin(const Scope& scope) {}
  // Variables have their values, no step ran yet.
  virtual void after_create_session(HookSession& session) {}
  virtual SessionRunArgs before_run(SessionRunContext& context) { return {}; }
  virtual void after_run(SessionRunContext& context, const SessionRunValues& values) {}
  // After the last step, not after an error.
  virtual void end(HookSession& session) {}
  // Numbers that the hook must know again in a training that is resumed; as many of them at any time. Asked for after
  // each step; checkpoints keep them, and restore_state gets them before after_create_session. Used in TRAIN.
  virtual std::vector<double> state() const { return {}; }
  virtual void restore_state(const std::vector<double>& state) {}
};

// A hook that says how it runs on several devices, among several workers, and in which of a run's two graphs.
class MOX_EXPORT AggregativeSessionRunHook : public SessionRunHook {
 public:
  ~AggregativeSessionRunHook() override;
  // model_fn makes a hook for each device. True: they act as one. before_run of each is called, after_run of the first
  // alone, with the mean over the devices of each floating point result (the first device's, for other types). False:
  // each runs for itself.
  virtual bool support_aggregation() const { return false; }
  // Whether the hook may run where several workers train in step. In one process it makes no difference.
  virtual bool support_sync_workers() const { return false; }
  // True: the hook belongs to the graph of RunOptions::inter_mode. The one of model_fn(inputs, inter_mode) is used, and
  // called around the training steps; what it fetches and runs is the other graph, on the same variables.
  virtual bool run_inter_mode() const { return false; }
};

// Feeds placeholders of model_fn in every step, and in the evaluation steps of the graph that it was made for.
class MOX_EXPORT FeedSessionRunHook : public AggregativeSessionRunHook {
 public:
  explicit FeedSessionRunHook(FeedDict feed_dict) : feed_dict_(std::move(feed_dict)) {}
  SessionRunArgs before_run(SessionRunContext& context) override { return {{}, feed_dict_}; }

 private:
  const FeedDict feed_dict_;
};

struct EvaluationOptions {
  std::vector<std::pair<std::string, Fetch>> monitor_info;  // scalars of the graph of inter_mode; needed
  int64_t batch_size = 0;                                   // of a device; needed
  int64_t samples_in_train = 0;                             // an epoch; needed
  int64_t samples_in_eval = 0;                              // of one evaluation; needed
  int64_t evaluate_every_n_epochs = 1;
  std::string prefix = "";  // of the line; "": the hook's own
  int num_gpus = 0;         // devices that share an epoch; 0: those of the run
};

// Evaluates monitor_info after every n-th epoch of training, an epoch being ceil(samples_in_train / (batch_size *
// num_gpus)) steps, and logs the means over ceil(samples_in_eval / batch_size) steps of inter_mode's graph:
// `[VALIDATION METRICS] step: 31 accuracy: 0.873`.
class MOX_EXPORT LogEvaluationMetricHook : public AggregativeSessionRunHook {
 public:
  explicit LogEvaluationMetricHook(EvaluationOptions options);  // InvalidArgumentError

  bool support_aggregation() const override { return true; }
  bool support_sync_workers() const override { return true; }
  bool run_inter_mode() const override { return true; }
  void after_create_session(HookSession& session) override;
  void after_run(SessionRunContext& context, const SessionRunValues& values) override;

 protected:
  // After each evaluation, with the means in the order of monitor_info.
  virtual void evaluated(SessionRunContext& context, const std::vector<double>& means) {}
  const EvaluationOptions& options() const { return options_; }

 private:
  std::vector<double> evaluate(HookSession& session);

  const EvaluationOptions options_;
  std::vector<Fetch> fetches_;
  int64_t every_ = 0;  // steps
};

struct EarlyStoppingOptions {
  std::string monitor;        // a name in monitor_info; needed when there are several
  double min_delta = 0;       // a change that is not larger is no gain
  int patience = 0;           // evaluations without gain, after which training stops; 0: the first one
  std::string mode = "auto";  // "max", "min"; "auto": min for names with loss or err in them, else max
};

// Stops when the monitored metric does not gain any more: patience=3 at the earliest at the fourth evaluation.
class MOX_EXPORT EarlyStoppingHook : public LogEvaluationMetricHook {
 public:
  EarlyStoppingHook(EvaluationOptions evaluation, EarlyStoppingOptions stopping);  // InvalidArgumentError

  std::vector<double> state() const override;
  // A state of another metric, or one that was to change the other way, is not taken.
  void restore_state(const std::vector<double>& state) override;

 protected:
  void evaluated(SessionRunContext& context, const std::vector<double>& means) override;
  // `patience` evaluations brought no gain. The default stops.
  virtual void plateau(SessionRunContext& context);
  const EarlyStoppingOptions& stopping() const { return stopping_; }
  const std::string& monitor() const { return options().monitor_info[monitored_].first; }

 private:
  const EarlyStoppingOptions stopping_;
  double metric_id() const;

  size_t monitored_ = 0;
  double sign_ = 1;  // -1: less is better
  bool seen_ = false;
  double best_ = 0;
  int without_gain_ = 0;
};

struct PlateauOptions {
  float lr_multiplier = 0.1f;  // of the learning rate, at each plateau
  int max_plateaus = 3;        // the last of them stops training
};

// Multiplies the learning rate when the metric does not gain any more, and stops at the last of max_plateaus.
class MOX_EXPORT PlateauLREarlyStoppingHook : public EarlyStoppingHook {
 public:
  PlateauLREarlyStoppingHook(EvaluationOptions evaluation, EarlyStoppingOptions stopping, PlateauOptions plateau = {});

  std::vector<double> state() const override;
  void restore_state(const std::vector<double>& state) override;

 protected:
  void plateau(SessionRunContext& context) override;

 private:
  const PlateauOptions plateau_;
  int plateaus_ = 0;
};

}  // namespace mox
