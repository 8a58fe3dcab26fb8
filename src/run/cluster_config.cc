#include "run/cluster_config.h"

#include <fmt/format.h>

#include "base/text.h"
#include "moxing/error.h"
#include "moxing/flags.h"

namespace mox {
namespace {

void reject_if(bool wrong, const std::string& message) {
  if (wrong) throw InvalidArgumentError(message);
}

void check_task_index() {
  const bool ps = get_flag<std::string>("job_name") == "ps";
  const auto hosts = split_words(get_flag<std::string>(ps ? "ps_hosts" : "worker_hosts"), ',');
  const auto index = get_flag<int64_t>("task_index"), count = static_cast<int64_t>(hosts.size());
  reject_if(count > 0 && index >= count,
            fmt::format("flag --task_index: got '{}', expected 0 to {}: --{}_hosts has {} hosts ({})", index, count - 1,
                        ps ? "ps" : "worker", count, get_flag<std::string>(ps ? "ps_hosts" : "worker_hosts")));
  reject_if(count == 0 && index != 0,
            fmt::format("flag --task_index: got '{}', but --{}_hosts is not given: name all hosts, the same everywhere",
                        index, ps ? "ps" : "worker"));
}

// What the cluster of this version cannot do is refused, not left out.
void check_offered(bool several) {
  const auto update = get_flag<std::string>("variable_update");
  const bool has_ps = !get_flag<std::string>("ps_hosts").empty() || get_flag<std::string>("job_name") == "ps";
  reject_if(has_ps || update == "parameter_server" || update == "distributed_replicated",
            "parameter servers (--ps_hosts, --job_name=ps, --variable_update=parameter_server or "
            "distributed_replicated) are not offered by this version; leave them out: workers exchange their gradients "
            "themselves (--variable_update=collective_all_reduce)");
  reject_if(several && (update == "replicated" || update == "replicated_host"),
            fmt::format("flag --variable_update: '{}' is for the devices of one process, but --worker_hosts names "
                        "several; use collective_all_reduce",
                        update));
  reject_if(several && !get_flag<bool>("sync_replicas"),
            "flag --sync_replicas=false needs parameter servers, which this version does not offer; leave it out");
}

}  // namespace

ClusterConfig cluster_config() {
  ClusterConfig config;
  if (get_flag<std::string>("job_name") == "evaluator") return config;  // alone, beside the others
  check_task_index();
  config.worker_hosts = split_words(get_flag<std::string>("worker_hosts"), ',');
  check_offered(config.has_others());
  config.task_index = get_flag<int64_t>("task_index");
  config.token = get_flag<std::string>("cluster_token");
  config.session_timeout = static_cast<double>(get_flag<int64_t>("session_timeout"));
  config.min_workers = get_flag<int64_t>("min_workers");
  config.bfloat16_gradients = get_flag<std::string>("gradient_dtype") == "bfloat16";
  config.sync_batch_norm = get_flag<bool>("sync_batch_norm");
  reject_if(config.min_workers > static_cast<int64_t>(std::max<size_t>(1, config.worker_hosts.size())),
            fmt::format("flag --min_workers: got '{}', but --worker_hosts has {} hosts", config.min_workers,
                        config.worker_hosts.size()));
  return config;
}

}  // namespace mox
