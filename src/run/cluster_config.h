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

  bool has_others() const { return worker_hosts.size() > 1; }
  // Worker 0 loads, saves, logs and exports; the others take its state.
  bool is_chief() const { return task_index == 0; }
};

// From worker_hosts, task_index and the flags beside them. InvalidArgumentError for what does not go together, and for
// what this version does not offer.
ClusterConfig cluster_config();

}  // namespace mox
