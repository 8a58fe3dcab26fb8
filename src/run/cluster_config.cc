#include "run/cluster_config.h"

#include <fmt/format.h>

#include "base/pattern.h"
#include "cluster/member.h"
#include "moxing/error.h"
#include "moxing/flags.h"
#include "run/tensorflow_server.h"

namespace mox {
namespace {

void reject_if(bool wrong, const std::string& message) {
  if (wrong) throw InvalidArgumentError(message);
}

void check_task_index() {
  const bool ps = get_flag<std::string>("job_name") == "ps";
  const auto hosts = split_list(get_flag<std::string>(ps ? "ps_hosts" : "worker_hosts"));
  const auto index = get_flag<int64_t>("task_index"), count = static_cast<int64_t>(hosts.size());
  reject_if(count > 0 && index >= count,
            fmt::format("flag --task_index: got '{}', expected 0 to {}: --{}_hosts has {} hosts ({})", index, count - 1,
                        ps ? "ps" : "worker", count, get_flag<std::string>(ps ? "ps_hosts" : "worker_hosts")));
  reject_if(count == 0 && index != 0,
            fmt::format("flag --task_index: got '{}', but --{}_hosts is not given: name all hosts, the same everywhere",
                        index, ps ? "ps" : "worker"));
}

// Without a word from the user: where there are parameter servers, they are meant.
bool uses_servers(const std::string& update, bool has_hosts) {
  return update == "parameter_server" || update == "distributed_replicated" || (update == "auto" && has_hosts);
}

// What the cluster of this version cannot do is refused, not left out.
void check_offered(const ClusterConfig& config) {
  const auto update = get_flag<std::string>("variable_update");
  const bool has_hosts = !get_flag<std::string>("ps_hosts").empty();
  const bool servers = uses_servers(update, has_hosts);
  reject_if(servers && (!has_hosts || config.worker_hosts.empty()),
            fmt::format("flag --variable_update: '{}' needs --ps_hosts and --worker_hosts, the same in all processes "
                        "(mox launch --workers=N --ps=M gives them)",
                        update));
  reject_if(config.copies && !config.sync_replicas,
            "flag --sync_replicas=false: with variable_update=distributed_replicated workers wait for each other; use "
            "parameter_server");
  reject_if(config.is_ps && !has_hosts, "flag --job_name: 'ps' needs --ps_hosts and --worker_hosts");
  reject_if(config.has_others() && (update == "replicated" || update == "replicated_host"),
            fmt::format("flag --variable_update: '{}' is for the devices of one process, but --worker_hosts names "
                        "several; use collective_all_reduce",
                        update));
  reject_if(config.has_others() && !config.sync_replicas && !servers,
            "flag --sync_replicas=false needs parameter servers (--ps_hosts); leave it out");
  reject_if(config.replicas_to_aggregate > 0 && (!servers || !config.sync_replicas),
            "flag --replicas_to_aggregate is for parameter servers (--ps_hosts) with sync_replicas; leave it out");
  reject_if(config.replicas_to_aggregate > static_cast<int64_t>(config.worker_hosts.size()),
            fmt::format("flag --replicas_to_aggregate: got '{}', but --worker_hosts has {} hosts",
                        config.replicas_to_aggregate, config.worker_hosts.size()));
  reject_if(servers && !config.sync_replicas && config.bfloat16_gradients,
            "flag --gradient_dtype: bfloat16 is for gradients that are joined; with sync_replicas=false leave it out");
  reject_if(
      servers && config.sync_batch_norm,
      "flag --sync_batch_norm: not offered with parameter servers, where each worker normalises its own batch and "
      "the chief's moving averages count; leave it out, or use --variable_update=collective_all_reduce");
  reject_if(servers && config.min_workers > 0,
            "flag --min_workers: with parameter servers all workers must be there (--replicas_to_aggregate leaves out "
            "slow ones)");
}

}  // namespace

ClusterConfig cluster_config() {
  ClusterConfig config;
  if (get_flag<std::string>("job_name") == "evaluator") return config;  // alone, beside the others
  check_task_index();
  config.worker_hosts = split_list(get_flag<std::string>("worker_hosts"));
  config.is_ps = get_flag<std::string>("job_name") == "ps";
  config.task_index = get_flag<int64_t>("task_index");
  config.token = get_flag<std::string>("cluster_token");
  config.session_timeout = static_cast<double>(get_flag<int64_t>("session_timeout"));
  config.min_workers = get_flag<int64_t>("min_workers");
  config.bfloat16_gradients = get_flag<std::string>("gradient_dtype") == "bfloat16";
  config.sync_batch_norm = get_flag<bool>("sync_batch_norm");
  config.sync_replicas = get_flag<bool>("sync_replicas");
  config.replicas_to_aggregate = get_flag<int64_t>("replicas_to_aggregate");
  config.copies = get_flag<std::string>("variable_update") == "distributed_replicated";
  check_offered(config);
  if (uses_servers(get_flag<std::string>("variable_update"), !get_flag<std::string>("ps_hosts").empty()))
    config.ps_hosts = split_list(get_flag<std::string>("ps_hosts"));
  config.tries_copies =
      config.has_servers() && config.sync_replicas && get_flag<std::string>("variable_update") == "auto";
  reject_if(config.min_workers > static_cast<int64_t>(std::max<size_t>(1, config.worker_hosts.size())),
            fmt::format("flag --min_workers: got '{}', but --worker_hosts has {} hosts", config.min_workers,
                        config.worker_hosts.size()));
  // Now, not when the graphs are built and a folder is made for what will not be.
  if (config.has_servers())
    check_hosts(
        {config.is_ps ? "ps" : "worker", static_cast<int>(config.task_index), config.ps_hosts, config.worker_hosts});
  else if (config.has_others())
    cluster::check_workers(config.task_index, config.worker_hosts, config.min_workers);
  return config;
}

}  // namespace mox
