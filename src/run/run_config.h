// The options of a run that both front ends share. See RunOptions for the meanings.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "devices/device_plan.h"
#include "exchange/clip_gradients.h"
#include "graph/built_graph.h"
#include "moxing/export.h"
#include "moxing/run.h"

namespace mox {

constexpr char kWriteProbe[] = ".mox_write_test";  // begins the names of the files that check_writable makes
constexpr int64_t kCallersThread = -1;             // num_inter_threads: a step runs in the thread that asks for it

struct RunConfig {
  ModeKeys mode = ModeKeys::TRAIN;
  int64_t batch_size = 0;
  std::string log_dir;
  int64_t max_number_of_steps = 0;
  std::string checkpoint_path;
  int64_t log_every_n_steps = 10;
  int64_t output_every_n_steps = 0;
  int64_t save_summary_steps = 100;
  double save_model_secs = -1;
  int64_t save_model_steps = -1;
  int keep_checkpoint_max = 5;
  std::string keep_best, keep_best_mode = "auto";
  int64_t save_histogram_steps = 0;
  int64_t trace_step = -1;
  bool export_model = false;
  int num_gpus = 1;
  DevicePlan devices;  // of num_gpus towers; apply_flags fills it
  bool log_first_clone = true;
  double loss_scale = 1;
  bool dynamic_loss_scale = false;
  int64_t loss_scale_growth_steps = 2000;
  ClipOptions gradient_clip;
  bool use_fp16 = false;
  bool scales_loss() const { return dynamic_loss_scale || loss_scale != 1; }
  std::vector<std::string> include_patterns, exclude_patterns;  // of checkpoint_path
  int64_t num_inter_threads = 0, num_intra_threads = 0;
  std::optional<double> stall_seconds;  // see RunOptions::stall_report_secs; apply_flags fills it
  OutputFn output_fn;
  FetchStrategyFn fetch_strategy_fn;
  std::function<void()> begin_fn;  // before the first step
};

// InvalidArgumentError when the flag task_index is outside its list of hosts.
MOX_EXPORT void check_task_index();

// Fills what flags decide (num_gpus, devices, patterns, loss_scale, threads). InvalidArgumentError for values that
// cannot work.
MOX_EXPORT void apply_flags(RunConfig* config);

// Checks what can be checked before anything is built: the ranges of the options, and that log_dir can be written.
MOX_EXPORT void validate(const RunConfig& config);
// Creates the folder and writes a file in it; InvalidArgumentError that says why not.
MOX_EXPORT void check_writable(const std::string& log_dir);

}  // namespace mox
