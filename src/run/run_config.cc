#include "run/run_config.h"

#include <fmt/format.h>
#include <unistd.h>

#include <tuple>

#include "base/options.h"
#include "base/pattern.h"
#include "graph/graph_state.h"
#include "moxing/error.h"
#include "moxing/flags.h"
#include "moxing/log.h"
#include "run/checkpoint_loader.h"
#include "run/checkpoint_state.h"
#include "run/finetune.h"
#include "tensorflow/core/lib/io/path.h"
#include "tensorflow/core/platform/cpu_info.h"
#include "tensorflow/core/platform/env.h"

namespace mox {

namespace tf = tensorflow;

namespace {

void reject_if(bool wrong, const std::string& message) {
  if (wrong) throw InvalidArgumentError(message);
}

// It evaluates, alone, what the others save.
void reject_training_evaluator(const RunConfig& config) {
  reject_if(
      config.run_mode == ModeKeys::TRAIN && get_flag<std::string>("job_name") == "evaluator",
      "this process is the evaluator beside its cluster (--job_name, or the task of TF_CONFIG) and takes no part in "
      "the training; run `mox eval` there, or run_mode EVAL, on the folder of the training");
}

// NCCL is what the user asks for by name, until it was tried on GPUs.
Sums sums_of_flags(const RunConfig& config) {
  const auto update = get_flag<std::string>("variable_update");
  if (update == "replicated") return Sums::kOnDevices;
  if (update == "collective_all_reduce" && config.devices.on_gpus()) return Sums::kOnDevices;
  return update == "auto" && !config.devices.on_gpus() && !config.cluster.has_servers() ? Sums::kTried : Sums::kOnHost;
}

void apply_device_flags(RunConfig* config) {
  config->num_gpus = get_flag<int64_t>("num_gpus");
  config->devices = DevicePlan(config->num_gpus, get_flag<bool>("clone_on_cpu"));
  if (config->run_mode != ModeKeys::TRAIN) return;
  config->sums = sums_of_flags(*config);
  const ClusterConfig& cluster = config->cluster;
  if (!cluster.has_servers()) config->devices = config->devices.with_copies();
  if (cluster.has_servers() && !cluster.is_ps)
    config->devices =
        config->devices.in_cluster(static_cast<int>(cluster.task_index), static_cast<int>(cluster.ps_hosts.size()));
}

void check_ranges(const RunConfig& config) {
#define MOX_RUN_OPTION(type, name, ...) check_field(run_option(#name), config.name);
#include "moxing/run_options.inc"
}

// freeze, finetune, model_ema, use_ema.
void check_recipe(const RunConfig& config) {
  for (const std::string& pattern : split_patterns(config.freeze)) try {
      const Pattern tried(pattern);
    } catch (const InvalidArgumentError& e) {
      throw InvalidArgumentError(std::string("freeze: ") + e.what());
    }
  if (config.run_mode != ModeKeys::TRAIN) {
    reject_if(!config.freeze.empty(), "freeze is for run_mode TRAIN: leave it out");
    reject_if(!config.finetune.empty(), "finetune is for run_mode TRAIN; checkpoint_path is what is evaluated");
    reject_if(config.model_ema > 0, "model_ema is for run_mode TRAIN; use_ema evaluates its averages");
    return;
  }
  reject_if(!config.finetune.empty() && !config.checkpoint_path.empty(),
            "finetune and checkpoint_path are both given: leave one out; finetune loads what fits, without the "
            "optimizer's state");
  reject_if(config.model_ema >= 1,
            fmt::format("model_ema is {}, expected a number from 0 to below 1, e.g. 0.9999", config.model_ema));
  reject_if(config.use_ema && config.model_ema == 0,
            "use_ema evaluates and exports the averages of model_ema, which is not given: give both");
  reject_if(config.use_ema && config.export_model.empty() && !config.validates(),
            "use_ema says in TRAIN what a validation evaluates and export_model exports, and neither is given: leave "
            "it out, and give it when you evaluate");
}

// What belongs together around num_epochs and the validation.
void check_validation(const RunConfig& config) {
  const bool trains = config.run_mode == ModeKeys::TRAIN;
  for (const auto& [name, given] : {std::pair("num_epochs", config.num_epochs > 0),
                                    std::pair("eval_every_n_epochs", config.eval_every_n_epochs > 0)}) {
    reject_if(given && !trains,
              fmt::format("{} is for run_mode TRAIN; run_mode is {}: leave it out", name, to_string(config.run_mode)));
    reject_if(given && config.samples_per_epoch == 0,
              fmt::format("samples_per_epoch is needed with {}: how many samples the training data has", name));
  }
  reject_if(config.eval_every_n_steps > 0 && !trains,
            fmt::format("eval_every_n_steps is for run_mode TRAIN; run_mode is {}: leave it out",
                        to_string(config.run_mode)));
  reject_if(config.eval_every_n_epochs > 0 && config.eval_every_n_steps > 0,
            "eval_every_n_epochs and eval_every_n_steps are both given; give one");
  for (const auto& [name, given] :
       {std::pair("early_stopping_patience", config.early_stopping_patience > 0),
        std::pair("plateau_patience", config.plateau_patience > 0),
        std::pair("eval_monitor", !config.eval_monitor.empty()), std::pair("eval_steps", config.eval_steps > 0)})
    reject_if(
        given && !config.validates(),
        fmt::format("{} needs a validation while it trains: give eval_every_n_epochs or eval_every_n_steps", name));
  for (const auto& [name, given, of] :
       {std::tuple("plateau_factor",
                   config.plateau_factor != RunOptions().plateau_factor && config.plateau_patience == 0,
                   "plateau_patience"),
        std::tuple("keep_best_mode", config.keep_best_mode != "auto" && config.keep_best.empty(), "keep_best")})
    reject_if(given, fmt::format("{} is given without {}, and does nothing then: give both", name, of));
  reject_if(config.plateau_patience > 0 && (config.plateau_factor <= 0 || config.plateau_factor >= 1),
            fmt::format("plateau_factor is {}, expected more than 0 and less than 1", config.plateau_factor));
  reject_if(config.plateau_patience > 0 && config.early_stopping_patience > 0 &&
                config.early_stopping_patience <= config.plateau_patience,
            fmt::format("early_stopping_patience {} ends the training before plateau_patience {} could lower the "
                        "learning rate; give it a larger early_stopping_patience",
                        config.early_stopping_patience, config.plateau_patience));
  reject_if(config.validates() && config.inter_mode && config.inter_mode != ModeKeys::EVAL,
            fmt::format("inter_mode is {}, but eval_every_n_… validates in mode EVAL; leave inter_mode out",
                        to_string(config.inter_mode.value_or(ModeKeys::EVAL))));
}

// That there is what a new training is to start from, before log_dir is made.
void check_start(const RunConfig& config) {
  if (config.run_mode != ModeKeys::TRAIN || !config.cluster.is_chief()) return;
  if (config.finetune.empty() && config.checkpoint_path.empty()) return;
  if (!config.log_dir.empty() && !checkpoints_in(config.log_dir).empty()) return;
  if (!config.finetune.empty())
    finetune_prefixes(config.finetune);
  else
    resolve_checkpoints(config.checkpoint_path);
}

}  // namespace

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
  config->cluster = cluster_config();
  apply_device_flags(config);
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
  // The chief validates, in the second graph.
  if (config->validates() && config->run_mode == ModeKeys::TRAIN && !config->inter_mode && config->cluster.is_chief())
    config->inter_mode = ModeKeys::EVAL;
  if (!config->stall_report_secs) config->stall_report_secs = get_flag<double>("stall_report_secs");
  config->use_fp16 = get_flag<bool>("use_fp16");
  const bool chief = config->cluster.is_chief() || config->cluster.is_ps || is_flag_set("running_log_level");
  set_log_level(chief ? parse_log_level(get_flag<std::string>("running_log_level")) : LogLevel::kWarning);
  matches_patterns("", config->include_patterns, config->exclude_patterns);  // throws for a broken pattern
  if (config->batch_size > 0 || !config->auto_batch) return;
  config->auto_batch = false;
  log_info("batch_size is not given: what input_fn returns is taken as batches");
}

void validate(const RunConfig& config) {
  reject_if(config.run_mode == ModeKeys::EXPORT,
            "run_mode EXPORT is used by MoXing alone; set export_model=TF_SERVING to export after a run");
  reject_if(config.inter_mode && config.run_mode != ModeKeys::TRAIN,
            fmt::format("inter_mode is for run_mode TRAIN; run_mode is {}: leave it out", to_string(config.run_mode)));
  reject_if(config.inter_mode == ModeKeys::EXPORT, "inter_mode is EXPORT; expected TRAIN, EVAL or PREDICT");
  check_ranges(config);
  check_validation(config);
  reject_training_evaluator(config);
  check_recipe(config);
  reject_if(config.dynamic_loss_scale && config.cluster.replicas_to_aggregate > 0 &&
                config.cluster.replicas_to_aggregate < static_cast<int64_t>(config.cluster.worker_hosts.size()),
            "flag --replicas_to_aggregate: with loss_scale=dynamic all workers must take part in every step, to skip "
            "it together; leave out one of them");
  if (config.run_mode == ModeKeys::TRAIN && config.log_dir.empty()) {
    reject_if(!config.keep_best.empty(), "log_dir is needed with keep_best: the checkpoints go there");
    log_warning("no log_dir is given: nothing of this training is saved, neither checkpoints nor events");
  }
  if (config.run_mode == ModeKeys::PREDICT)
    reject_if(!config.output_fn, "output_fn is needed in PREDICT: it gets the predictions");
  reject_if(!config.export_model.empty() && config.log_dir.empty(),
            "log_dir is needed with export_model: the model goes there");
  check_start(config);
  if (!config.log_dir.empty() && config.cluster.is_chief()) check_writable(config.log_dir);
}

int RunConfig::operation_threads() const {
  return num_intra_threads > 0 ? static_cast<int>(num_intra_threads) : tf::port::MaxParallelism();
}

}  // namespace mox
