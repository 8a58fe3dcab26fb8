// What the flags say of the processes that run together.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "moxing/export.h"

namespace mox {

struct ClusterConfig {
  std::vector<std::string> worker_hosts;  // "host:port"
  int64_t task_index = 0;
  std::string token;                // of the run, "": none
  double session_timeout = 0;       // seconds that workers wait for each other
  int64_t min_workers = 0;          // 0: all must be there
  bool bfloat16_gradients = false;  // how gradients travel
  bool sync_batch_norm = false;     // moving averages are those of all workers' batches

  std::vector<std::string> ps_hosts;  // parameter servers; empty: workers exchange their gradients themselves
  bool is_ps = false;                 // this process is one; task_index is its place among them
  bool sync_replicas = true;          // workers wait for each other in every step
  int64_t replicas_to_aggregate = 0;  // gradients that make a step; 0: of all workers
  bool copies = false;                // with servers: workers have copies of the variables
  bool tries_copies = false;          // they are tried
  bool has_servers() const { return !ps_hosts.empty(); }

  bool has_others() const { return worker_hosts.size() > 1; }
  // Worker 0 loads, saves, logs and exports; the others take its state.
  bool is_chief() const { return task_index == 0 && !is_ps; }
  // Of steps that the model has had, those of each worker.
  int64_t steps_of_each(int64_t global_step) const {
    const bool all_count = has_servers() && !sync_replicas;
    return all_count ? global_step / static_cast<int64_t>(worker_hosts.size()) : global_step;
  }
};

// From worker_hosts, task_index and the flags beside them. InvalidArgumentError for what does not go together, and for
// what this version does not offer.
ClusterConfig cluster_config();

}  // namespace mox
