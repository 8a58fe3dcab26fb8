#include "base/flag_table.h"

#include <fmt/format.h>

#include "base/limits.h"

namespace mox {
namespace {

using Text = FlagInfo::Text;

constexpr double kSmallNumber = 1e-30, kLargeNumber = 1e30;  // gradients and losses are float32

FlagInfo integer(const char* name, int64_t by_default, int64_t low, int64_t high, const char* help) {
  return {name, by_default, help, static_cast<double>(low), static_cast<double>(high)};
}

FlagInfo number(const char* name, double by_default, double low, double high, const char* help,
                std::vector<std::string> words = {}) {
  return {name, by_default, help, low, high, std::move(words)};
}

FlagInfo truth(const char* name, bool by_default, const char* help) { return {name, by_default, help}; }

FlagInfo word(const char* name, std::vector<std::string> words, const char* help, const char* environment = "") {
  return {name, words.front(), help, 0, 0, words, Text::kAny, environment};
}

FlagInfo text(const char* name, Text kind, const char* help) { return {name, std::string(), help, 0, 0, {}, kind}; }

FlagInfo secret(const char* name, const char* environment, const char* help) {
  return {name, std::string(), help, 0, 0, {}, Text::kAny, environment};
}

FlagInfo with_default(const char* by_default, FlagInfo flag) {
  flag.default_value = std::string(by_default);
  return flag;
}

// Parsed, but nothing heeds it yet: any value but the default is refused.
FlagInfo not_offered(FlagInfo flag) {
  flag.offered = false;
  return flag;
}

}  // namespace

// What a flag is called, takes and is for; whoever heeds it asks for it by name (get_flag).
const std::vector<FlagInfo>& flag_table() {
  static const auto* flags = new std::vector<FlagInfo>{
      integer("num_gpus", 1, 1, kMaxDevices,
              "devices that this process trains on: GPUs where there are any, else CPU devices"),
      with_default("worker", word("job_name", {"ps", "worker", "evaluator"},
                                  "what this process is in a cluster; an evaluator is no member of it")),
      integer("task_index", 0, 0, 1'000'000, "this process's place in its job's list of hosts"),
      text("ps_hosts", Text::kHosts, "parameter servers, comma-separated"),
      text("worker_hosts", Text::kHosts, "workers, comma-separated"),
      word("cluster", {"tf_config", "mpi", "slurm"},
           "who started the processes: it says job_name, task_index, ps_hosts and worker_hosts where they are not "
           "given"),
      integer("cluster_ps", 0, 0, kMaxShards, "with cluster=mpi or slurm: the last N processes are parameter servers"),
      integer("cluster_port", 0, 0, 65535,
              "with cluster=mpi or slurm: the port of a host's first process (0 = chosen by the job's number)"),
      truth("sync_replicas", true, "workers wait for each other in every step"),
      integer("replicas_to_aggregate", 0, 0, 1'000'000,
              "with parameter servers: so many workers' gradients make a step, later ones are dropped (0 = all)"),
      word("variable_update",
           {"auto", "parameter_server", "replicated", "replicated_host", "distributed_replicated",
            "collective_all_reduce"},
           "where variables live and how gradients are joined"),
      word("gradient_dtype", {"float32", "bfloat16"},
           "how gradients travel between workers; bfloat16 halves the bytes"),
      truth("sync_batch_norm", false,
            "moving averages of batch norm are those of all workers' batches; false: of the chief's"),
      integer("min_workers", 0, 0, 1'000'000,
              "when workers are lost, the training goes on with so many, more than half (0 = only with all)"),
      secret("cluster_token", "MOX_CLUSTER_TOKEN",
             "who does not know it is not taken into the run; mox launch makes one"),
      text("checkpoint_include_patterns", Text::kPatterns, "of checkpoint_path, load only variables that match one"),
      text("checkpoint_exclude_patterns", Text::kPatterns, "of checkpoint_path, load no variable that matches one"),
      text("trainable_include_patterns", Text::kPatterns, "train only variables that match one"),
      text("trainable_exclude_patterns", Text::kPatterns, "train no variable that matches one"),
      number("loss_scale", 1, kSmallNumber, kLargeNumber,
             "the loss is multiplied by it and gradients are divided (1 = off)", {"dynamic"}),
      integer("loss_scale_growth_steps", 2000, 1, kMaxCount,
              "with loss_scale=dynamic: good steps after which the scale doubles"),
      truth("use_fp16", false, "convolutions and matrix products in 16 bits, variables in 32"),
      number("gradient_clip", 0, 0, kLargeNumber, "largest gradient (0 = off)"),
      word("gradient_clip_type", {"norm", "global_norm", "value"}, "what gradient_clip limits"),
      truth("log_first_clone", true, "log_info of the first device only; false: the mean over devices"),
      truth("clone_on_cpu", false, "train on CPU devices even where there are GPUs"),
      integer("num_inter_threads", 0, 0, kMaxThreads,
              "operations that run at once (0 = one where each uses all cores, else as many as cores)"),
      integer("num_intra_threads", 0, 0, kMaxThreads, "threads of one operation (0 = the number of cores)"),
      not_offered(word("server_protocol", {"grpc"}, "protocol between the processes of a cluster")),
      integer("session_timeout", 7200, 1, static_cast<int64_t>(kMaxSeconds),
              "seconds that workers wait for each other before the run stops"),
      number("stall_report_secs", 30, 0, kMaxSeconds,
             "a line as often as a step has waited that many seconds for its input (0 = none)"),
      with_default("info", word("running_log_level", {"debug", "info", "warning", "error", "off"},
                                "least level of log lines", "MOX_LOG_LEVEL")),
  };
  return *flags;
}

std::string FlagInfo::values() const {
  std::string quoted;
  for (size_t i = 0; i < words.size(); ++i)
    quoted += (i == 0 ? "'" : i + 1 < words.size() ? ", '" : " or '") + words[i] + "'";
  if (std::holds_alternative<bool>(default_value)) return "true or false";
  if (std::holds_alternative<int64_t>(default_value))
    return fmt::format("an integer from {} to {}", static_cast<int64_t>(low), static_cast<int64_t>(high));
  if (std::holds_alternative<double>(default_value))
    return fmt::format("a number from {:g} to {:g}{}{}", low, high, quoted.empty() ? "" : ", or ", quoted);
  if (text == Text::kHosts) return "host:port,host:port,…";
  if (text == Text::kPatterns) return "regular expressions, comma-separated";
  return quoted.empty() ? "a text" : quoted;
}

}  // namespace mox
