// What the environment says of the cluster that this process belongs to: Slurm, Open MPI, PMI (TF_CONFIG: tf_config.h).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "moxing/export.h"

namespace mox {

// nullptr for a variable that is not set; std::getenv, and tables in tests.
using EnvironmentReader = std::function<const char*(const char* name)>;

struct ClusterTask {
  std::string job_name = "worker";  // worker, ps, or evaluator, which is no member of the cluster
  int64_t task_index = 0;
  std::vector<std::string> ps_hosts, worker_hosts;  // "host:port"; a chief (or master) is the first worker
};

// How ranks become tasks: ranks 0 … N-P-1 are workers, the last P parameter servers.
struct RankOptions {
  int64_t ps = 0;
  int64_t first_port = 0;          // of a host's first rank, the next ones follow; 0: chosen by the job's number
  std::vector<std::string> hosts;  // "host" or "host:port", one a rank, where the environment does not name them
};

// From SLURM_PROCID, SLURM_NTASKS, SLURM_NODELIST and their like, in a step that srun started, with tasks in blocks or
// cyclic over the nodes. InvalidArgumentError when one is missing or wrong.
MOX_EXPORT ClusterTask cluster_from_slurm(const EnvironmentReader& environment, const RankOptions& options = {});

// From OMPI_COMM_WORLD_* (Open MPI) or PMI_* (MPICH, Intel MPI). Neither names the hosts: they are
// 127.0.0.1 where all ranks are on one, and RankOptions::hosts otherwise.
MOX_EXPORT ClusterTask cluster_from_mpi(const EnvironmentReader& environment, const RankOptions& options = {});

// Slurm's short form: "gpu[01-03,7],login" -> gpu01 gpu02 gpu03 gpu7 login. InvalidArgumentError.
MOX_EXPORT std::vector<std::string> expand_slurm_hosts(const std::string& list);
// "2(x3),1" -> 2 2 2 1. InvalidArgumentError.
MOX_EXPORT std::vector<int64_t> expand_slurm_counts(const std::string& list);

}  // namespace mox
