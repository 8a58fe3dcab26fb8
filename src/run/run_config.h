// What both front ends give the engine: the options of a run, and the flags of the process.
#pragma once

#include <string>
#include <vector>

#include "devices/device_plan.h"
#include "exchange/clip_gradients.h"
#include "exchange/sums.h"
#include "graph/built_graph.h"
#include "moxing/export.h"
#include "moxing/run.h"
#include "run/cluster_config.h"

namespace mox {

constexpr char kWriteProbe[] = ".mox_write_test";  // begins the names of the files that check_writable makes
constexpr int64_t kCallersThread = -1;             // num_inter_threads: a step runs in the thread that asks for it

// The options of the run (of Python's front end without the functions that it calls itself), and what flags say.
struct RunConfig : RunOptions {
  int num_gpus = 1;
  DevicePlan devices = {};  // of num_gpus towers; apply_flags fills it
  Sums sums = Sums::kOnHost;
  bool log_first_clone = true;
  double loss_scale = 1;
  bool dynamic_loss_scale = false;
  int64_t loss_scale_growth_steps = 2000;
  ClipOptions gradient_clip = {};
  bool use_fp16 = false;
  bool scales_loss() const { return dynamic_loss_scale || loss_scale != 1; }
  bool validates() const { return eval_every_n_epochs > 0 || eval_every_n_steps > 0; }
  std::vector<std::string> include_patterns = {}, exclude_patterns = {};  // of checkpoint_path
  int64_t num_inter_threads = 0, num_intra_threads = 0;
  int operation_threads() const;  // that compute inside one operation of a step
  ClusterConfig cluster = {};
};

// Fills what flags decide (num_gpus, devices, patterns, loss_scale, threads, cluster). InvalidArgumentError for values
// that cannot work. Workers but the chief log warnings only, unless running_log_level says otherwise.
MOX_EXPORT void apply_flags(RunConfig* config);

// Checks what can be checked before anything is built: the ranges of all options, those that do not go together, and
// that log_dir can be written. Each front end calls it once. InvalidArgumentError; a warning where nothing is saved.
MOX_EXPORT void validate(const RunConfig& config);
// Creates the folder and writes a file in it; InvalidArgumentError that says why not.
MOX_EXPORT void check_writable(const std::string& log_dir);

}  // namespace mox
