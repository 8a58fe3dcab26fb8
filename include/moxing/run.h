// mox::run: train, evaluate or predict with the user's input_fn and model_fn.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "moxing/export.h"
#include "moxing/hooks.h"
#include "moxing/mode_keys.h"
#include "moxing/model_spec.h"
#include "moxing/optimizer.h"
#include "moxing/scope.h"
#include "tensorflow/core/framework/tensor.h"

namespace mox {

// Returns the tensors of one sample (auto_batch) or of one batch: usually those of a data set's get().
using InputFn = std::function<std::vector<tensorflow::Output>(const Scope& scope, ModeKeys mode)>;
// Called once a device, with that device's batch. Variables are shared between the calls.
using ModelFn =
    std::function<ModelSpec(const Scope& scope, const std::vector<tensorflow::Output>& inputs, ModeKeys mode)>;
// output_info of one step on one device.
using OutputDict = std::map<std::string, tensorflow::Tensor>;
// Gets the dicts of output_every_n_steps steps: (step 0, device 0), (step 0, device 1), (step 1, device 0), …
using OutputFn = std::function<void(const std::vector<OutputDict>& outputs)>;

// What a step computes beside the training itself.
struct StepFetches {
  bool log_info = false;     // the line of the log; EVAL: counts for the means
  bool summaries = false;    // the events; TRAIN
  bool output_info = false;  // output_fn gets it; only with an output_fn
};
// Called before each step with its number in this run, from 0, and what the options planned for it; returns what it
// fetches instead.
using FetchStrategyFn = std::function<StepFetches(int64_t step, const StepFetches& planned)>;

struct RunOptions {
  InputFn input_fn;           // needed
  OutputFn output_fn;         // gets output_info; needed in PREDICT
  ModelFn model_fn;           // needed
  OptimizerFns optimizer_fn;  // needed in TRAIN: one, or a list, one a loss
  ModeKeys run_mode = ModeKeys::TRAIN;
  std::optional<ModeKeys> inter_mode;  // TRAIN: a second graph on the same variables, for hooks that evaluate
  int64_t batch_size = 0;              // samples a device and step; 0: read from the first input's static shape
  bool auto_batch = true;              // input_fn returns single samples; false: it returns batches
  std::string log_dir;                 // checkpoints, events, logs, exported models; "": TRAIN saves nothing
  int64_t max_number_of_steps = 0;     // steps of this worker; 0: until the input ends
  std::string checkpoint_path;         // folder or prefix to start from when log_dir has no checkpoint
  int64_t log_every_n_steps = 10;
  int64_t output_every_n_steps = 0;   // 0: output_fn is not called in TRAIN and EVAL; in PREDICT every step
  int64_t save_summary_steps = 100;   // TRAIN; 0: no summaries
  double save_model_secs = -1;        // seconds between checkpoints; -1: not given, 0: none. Wins over steps
  int64_t save_model_steps = -1;      // the same in steps; with neither given: every 600 seconds
  FetchStrategyFn fetch_strategy_fn;  // decides what each step fetches; none: the …_n_steps above
  std::string export_model;           // export_keys::TF_SERVING, or "" for none
  std::function<void()> begin_fn;     // called once: all is checked and restored, the first step comes
  int64_t trace_step = -1;            // this step's timeline goes to log_dir/timeline-N.json; -1: none
  int keep_checkpoint_max = 5;        // older ones are removed; 0: all stay
  // TRAIN: a name in log_info. The checkpoint at which it was best (the mean of what was logged since the one before)
  // stays beside the newest; best_checkpoint.json in log_dir names it. "": none.
  std::string keep_best;
  std::string keep_best_mode = "auto";  // max, min; auto: min for names with loss or err in them, else max
  int64_t save_histogram_steps = 0;     // TRAIN: steps between histograms of the variables in the events; 0: none
  // A line as often as a step has waited that long for its input; 0: none; not given: the flag of this name.
  std::optional<double> stall_report_secs;
  int64_t random_seed = 0;  // of initial values and dropout; 0: another one in every run
};

struct RunResult {
  int64_t steps = 0;        // run by this call
  int64_t global_step = 0;  // of the model, at the end
  std::vector<std::pair<std::string, double>>
      metrics;               // EVAL: the mean of log_info over the run; TRAIN: the last logged
  std::string checkpoint;    // prefix that was saved last (TRAIN) or loaded
  std::string export_dir;    // of the exported model, "" for none
  bool interrupted = false;  // SIGINT or SIGTERM ended it
};

// Runs to the end. Throws InvalidArgumentError before anything starts when an option or what a function returned does
// not fit; RunError when the run fails later (a non-finite loss: names step and tensor; the last checkpoint stays).
// What a user function throws comes out as it is. SIGINT and SIGTERM end the run after a checkpoint (`interrupted`).
MOX_EXPORT RunResult run(const RunOptions& options);

// Exports a checkpoint without a run.
struct ExportOptions {
  struct Input {
    tensorflow::DataType dtype;
    tensorflow::PartialTensorShape shape;  // with the batch dimension, usually -1
  };
  ModelFn model_fn;                      // built in EXPORT mode; needed
  std::vector<Input> inputs;             // what model_fn gets; needed
  std::string checkpoint_path;           // folder or prefix; needed
  std::string log_dir;                   // the model goes to log_dir/<version>; needed
  std::vector<std::string> class_names;  // written to assets/labels.txt; empty: none
};
// Returns the folder. Errors as run's.
MOX_EXPORT std::string export_model(const ExportOptions& options);

}  // namespace mox
