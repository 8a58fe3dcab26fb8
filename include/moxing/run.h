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

// The fields, in the order of the manual, with what they mean: moxing/run_options.inc.
struct RunOptions {
#define MOX_RUN_OPTION(type, name, by_default, values, where, since, help) type name = by_default;
#include "moxing/run_options.inc"
};

// The best validation of a training.
struct BestValidation {
  std::string metric;
  double value = 0;
  int64_t global_step = 0;
};

struct RunResult {
  int64_t steps = 0;        // run by this call
  int64_t global_step = 0;  // of the model, at the end
  std::vector<std::pair<std::string, double>>
      metrics;               // EVAL: the mean of log_info over the run; TRAIN: the last logged; log_mean: since then
  std::string checkpoint;    // prefix that was saved last (TRAIN) or loaded
  std::string export_dir;    // of the exported model, "" for none
  bool interrupted = false;  // SIGINT or SIGTERM ended it
  std::vector<std::pair<std::string, double>> validation = {};  // TRAIN: what the last validation of this run gave
  std::optional<BestValidation> best_validation = {};  // of the training, with its runs before; see eval_monitor
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
  bool use_ema = false;                  // the averages of model_ema in place of the variables
};
// Returns the folder. Errors as run's.
MOX_EXPORT std::string export_model(const ExportOptions& options);

}  // namespace mox
