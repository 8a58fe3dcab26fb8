// TensorFlow's gRPC server of this process, for runs with parameter servers.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "devices/device_plan.h"
#include "moxing/export.h"

namespace mox {

// The processes of a cluster with parameter servers, and which of them this one is.
struct ServerCluster {
  std::string job = "worker";  // or "ps"
  int index = 0;
  std::vector<std::string> ps_hosts, worker_hosts;  // "host:port"

  int size() const { return static_cast<int>(ps_hosts.size() + worker_hosts.size()); }
  // All of them by number: the parameter servers first.
  std::string task(int number) const;         // see task_name
  const std::string& host(int number) const;  // "host:port"
  std::string name(int number) const;         // "ps 0 (host:port)"
  int own_number() const { return job == "ps" ? index : static_cast<int>(ps_hosts.size()) + index; }
  bool on_loopback() const;  // all of them
};

// InvalidArgumentError for an index outside of its list, and for a host without a port or that is named twice.
void check_hosts(const ServerCluster& cluster);

// Whoever reaches its port can run any graph in this process, and read its files: TensorFlow's protocol has neither
// passwords nor encryption. So it listens at the address of its place in the list of hosts alone, and a warning in a
// box says so where that is not loopback. Proxies of the environment are not used.
class MOX_EXPORT TensorflowServer {
 public:
  // The process's server. It cannot be stopped: a later call with other options is an error, with the same ones gets
  // the same server. InvalidArgumentError when the address is not this host's or the port is taken.
  static TensorflowServer& start(const ServerCluster& cluster, const DevicePlan& devices, int64_t intra_threads = 0,
                                 int64_t inter_threads = 0);

  // For sessions: "grpc://host:port", whose master is in this process.
  const std::string& target() const { return target_; }
  const ServerCluster& cluster() const { return cluster_; }

  // Whether a process answers, as the one that it is in this cluster.
  struct Sign {
    bool alive = false;
    uint64_t incarnation = 0;  // another number each time that the process starts; 0: it did not answer
    std::string error;         // why not: what was tried
  };
  // Asks all at once, and waits at most `seconds`. [number of the task]
  std::vector<Sign> ask(double seconds) const;

 private:
  TensorflowServer(const ServerCluster& cluster, const DevicePlan& devices, int64_t intra_threads,
                   int64_t inter_threads);
  struct Impl;

  const ServerCluster cluster_;
  std::string settings_;  // what may not differ
  std::string target_;
  Impl* impl_;  // never destroyed: the server's destructor ends the process
};

}  // namespace mox
