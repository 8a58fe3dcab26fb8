#include "run/run_config.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <limits>

#include "base/limits.h"
#include "graph/graph_state.h"
#include "moxing/error.h"
#include "moxing/flags.h"
#include "moxing/log.h"
#include "run/checkpoint_loader.h"
#include "tensorflow/core/lib/io/path.h"
#include "tensorflow/core/platform/env.h"

namespace mox {

namespace tf = tensorflow;

namespace {

void reject_if(bool wrong, const std::string& message) {
  if (wrong) throw InvalidArgumentError(message);
}

// A flag that the engine does not heed yet must not be taken silently.
void reject_unheeded_flags() {
  check_task_index();
  const std::string workers = get_flag<std::string>("worker_hosts");
  reject_if(!get_flag<std::string>("ps_hosts").empty() || workers.find(',') != std::string::npos ||
                get_flag<std::string>("job_name") != "worker" || get_flag<int64_t>("task_index") != 0,
            "several processes (--ps_hosts, --worker_hosts, --job_name, --task_index) are not offered by this version; "
            "train with --num_gpus in one process");
}

// -1, or another negative number, stands for "not given" in three of them.
void check_numbers(const RunConfig& c) {
  check_integer("batch_size", c.batch_size, 0, kMaxBatchSize, "0 means that the first input's shape tells it");
  check_integer("max_number_of_steps", c.max_number_of_steps, 0, kMaxSteps, "0 means until the input ends");
  check_integer("log_every_n_steps", c.log_every_n_steps, 0, kMaxSteps, "0 logs nothing");
  check_integer("output_every_n_steps", c.output_every_n_steps, 0, kMaxSteps, "0 turns it off");
  check_integer("save_summary_steps", c.save_summary_steps, 0, kMaxSteps, "0 saves none");
  check_integer("save_histogram_steps", c.save_histogram_steps, 0, kMaxSteps, "0 turns it off");
  check_integer("keep_checkpoint_max", c.keep_checkpoint_max, 0, std::numeric_limits<int>::max(), "0 keeps all");
  check_number("save_model_secs", c.save_model_secs, -1, kMaxSeconds, "-1 means that it is not given");
  check_integer("save_model_steps", c.save_model_steps, -1, kMaxSteps, "-1 means that it is not given");
  check_integer("trace_step", c.trace_step, -1, kMaxSteps, "-1 traces none");
  check_integer("num_gpus", c.num_gpus, 1, kMaxDevices);
  check_number("stall_report_secs", c.stall_seconds.value_or(0), 0, kMaxSeconds, "0 turns it off");
}

}  // namespace

void check_task_index() {
  const bool ps = get_flag<std::string>("job_name") == "ps";
  const std::string hosts = get_flag<std::string>(ps ? "ps_hosts" : "worker_hosts");
  const int64_t index = get_flag<int64_t>("task_index"), count = 1 + std::count(hosts.begin(), hosts.end(), ',');
  reject_if(!hosts.empty() && index >= count,
            fmt::format("flag --task_index: got '{}', expected 0 to {}: --{}_hosts has {} hosts ({})", index, count - 1,
                        ps ? "ps" : "worker", count, hosts));
}

// Nine hours later is too late to find out: writes a file now.
void check_writable(const std::string& log_dir) {
  tf::Env* env = tf::Env::Default();
  absl::Status status = env->RecursivelyCreateDir(log_dir);
  // One name, so that killed runs leave one file; another user's may be in the way.
  std::string probe = tf::io::JoinPath(log_dir, kWriteProbe);
  if (status.ok() && !tf::WriteStringToFile(env, probe, "x").ok()) {
    probe += "." + std::to_string(getpid());
    status = tf::WriteStringToFile(env, probe, "x");
  }
  if (!status.ok())
    throw InvalidArgumentError("log_dir '" + log_dir + "' cannot be written: " + std::string(status.message()));
  env->DeleteFile(probe).IgnoreError();
}

void apply_flags(RunConfig* config) {
  reject_unheeded_flags();
  config->num_gpus = get_flag<int64_t>("num_gpus");
  config->devices = DevicePlan(config->num_gpus, get_flag<bool>("clone_on_cpu"));
  config->log_first_clone = get_flag<bool>("log_first_clone");
  config->include_patterns = split_patterns(get_flag<std::string>("checkpoint_include_patterns"));
  config->exclude_patterns = split_patterns(get_flag<std::string>("checkpoint_exclude_patterns"));
  config->num_inter_threads = get_flag<int64_t>("num_inter_threads");
  config->num_intra_threads = get_flag<int64_t>("num_intra_threads");
  const FlagValue scale = get_flag("loss_scale");
  config->dynamic_loss_scale = std::holds_alternative<std::string>(scale);
  config->loss_scale = config->dynamic_loss_scale ? 1 : std::get<double>(scale);
  config->loss_scale_growth_steps = get_flag<int64_t>("loss_scale_growth_steps");
  config->gradient_clip = {get_flag<double>("gradient_clip"), get_flag<std::string>("gradient_clip_type")};
  if (!config->stall_seconds) config->stall_seconds = get_flag<double>("stall_report_secs");
  config->use_fp16 = get_flag<bool>("use_fp16");
  set_log_level(parse_log_level(get_flag<std::string>("running_log_level")));
  matches_patterns("", config->include_patterns, config->exclude_patterns);  // throws for a broken pattern
}

void validate(const RunConfig& config) {
  reject_if(config.mode == ModeKeys::EXPORT,
            "run_mode EXPORT is used by MoXing alone; set export_model=TF_SERVING to export after a run");
  check_numbers(config);
  reject_if(config.keep_best_mode != "auto" && config.keep_best_mode != "max" && config.keep_best_mode != "min",
            "keep_best_mode is '" + config.keep_best_mode + "', expected auto, max or min");
  if (config.mode == ModeKeys::TRAIN && config.log_dir.empty()) {
    reject_if(!config.keep_best.empty(), "log_dir is needed with keep_best: the checkpoints go there");
    log_warning("no log_dir is given: nothing of this training is saved, neither checkpoints nor events");
  }
  if (config.mode == ModeKeys::PREDICT)
    reject_if(!config.output_fn, "output_fn is needed in PREDICT: it gets the predictions");
  reject_if(config.export_model && config.log_dir.empty(), "log_dir is needed with export_model: the model goes there");
  if (!config.log_dir.empty()) check_writable(config.log_dir);
}

}  // namespace mox
