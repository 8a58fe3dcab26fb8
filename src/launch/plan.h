// Which task runs where, with which command and environment.
#pragma once

#include <string>
#include <vector>

#include "launch/options.h"

namespace mox::launch {

struct TaskPlan {
  std::string job;     // "worker" or "ps"
  size_t index = 0;    // within its job
  size_t host = 0;     // place in Options::hosts; 0 without
  size_t on_host = 0;  // the how-manieth of its job on that host

  std::string name() const { return job + " " + std::to_string(index); }
};

// Workers first, in blocks over the hosts; then parameter servers, one a host in turn.
std::vector<TaskPlan> plan_tasks(const Options& options);

struct Cluster {
  std::vector<std::string> ps, workers;  // "host:port", by index
  std::string token;                     // known to this run's processes only
};

// What stands before ":port" in an address of a host.
std::string address_of_host(const Options& options, size_t host);
// 32 random bytes, as 64 hexadecimal digits.
std::string make_token();

std::vector<std::string> command_of(const Options& options, const TaskPlan& task, const Cluster& cluster);
// "NAME=VALUE": TF_CONFIG, MOX_CLUSTER_TOKEN, what the options say of GPUs and threads, and --env.
// InvalidArgumentError when CUDA_VISIBLE_DEVICES names too few devices.
std::vector<std::string> environment_of(const Options& options, const TaskPlan& task, const Cluster& cluster);

// InvalidArgumentError when this host has GPUs, but too few. Returns a warning, or nothing.
std::string check_gpus(const Options& options);

}  // namespace mox::launch
