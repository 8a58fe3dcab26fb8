// This process's place in a cluster, where neither the command line nor set_flag says it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/cluster_env.h"
#include "moxing/flags.h"

namespace mox {

// What was said: the values of the flags of these names.
struct GivenPlace {
  std::string cluster = "tf_config";  // who started the processes: tf_config, mpi or slurm
  int64_t cluster_ps = 0, cluster_port = 0;
  std::vector<std::string> ps_hosts, worker_hosts;  // empty: not given
};

// A value for the flags job_name, task_index, ps_hosts and worker_hosts; nothing for others, and where TF_CONFIG leaves
// it out or is not set. With mpi and slurm hosts that are given stand in the order of the ranks, workers first.
// InvalidArgumentError that says what was looked for and what it has.
std::optional<FlagValue> value_from_cluster(const std::string& flag, const GivenPlace& given,
                                            const EnvironmentReader& environment);

}  // namespace mox
