#include "base/cluster_place.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/tf_config.h"
#include "moxing/error.h"

namespace mox {
namespace {

RankOptions rank_options(const GivenPlace& given) {
  RankOptions options;
  options.ps = given.cluster_ps;
  options.first_port = given.cluster_port;
  if (given.worker_hosts.empty() && !given.ps_hosts.empty())
    throw InvalidArgumentError(
        "--ps_hosts is given without --worker_hosts; give both, or neither: --cluster_ps=N makes the last N processes "
        "parameter servers");
  if (given.worker_hosts.empty()) return options;
  const auto ps = static_cast<int64_t>(given.ps_hosts.size());
  if (given.cluster_ps != 0 && given.cluster_ps != ps)
    throw InvalidArgumentError(
        fmt::format("--cluster_ps is {}, but --ps_hosts has {} hosts ({}); leave --cluster_ps out", given.cluster_ps,
                    ps, fmt::join(given.ps_hosts, ",")));
  options.ps = ps;
  options.hosts = given.worker_hosts;
  options.hosts.insert(options.hosts.end(), given.ps_hosts.begin(), given.ps_hosts.end());
  return options;
}

ClusterTask task_of_ranks(const GivenPlace& given, const EnvironmentReader& environment) {
  try {
    const RankOptions options = rank_options(given);
    return given.cluster == "slurm" ? cluster_from_slurm(environment, options) : cluster_from_mpi(environment, options);
  } catch (const InvalidArgumentError& e) {
    throw InvalidArgumentError(fmt::format("--cluster={}: {}", given.cluster, e.what()));
  }
}

}  // namespace

std::optional<FlagValue> value_from_cluster(const std::string& flag, const GivenPlace& given,
                                            const EnvironmentReader& environment) {
  if (flag != "job_name" && flag != "task_index" && flag != "ps_hosts" && flag != "worker_hosts") return std::nullopt;
  if (given.cluster == "tf_config") {
    const char* text = environment("TF_CONFIG");
    return text && *text ? value_in_tf_config(flag, text) : std::nullopt;
  }
  const ClusterTask task = task_of_ranks(given, environment);
  if (flag == "ps_hosts") return fmt::format("{}", fmt::join(task.ps_hosts, ","));
  if (flag == "worker_hosts") return fmt::format("{}", fmt::join(task.worker_hosts, ","));
  if (flag == "job_name") return task.job_name;
  return task.task_index;
}

}  // namespace mox
