// The devices of a run: what there is on this machine, and what of the graph belongs where. Nothing else in the tree
// writes the name of a device, so that a process of a cluster only needs another plan.
#pragma once

#include <string>
#include <vector>

#include "moxing/export.h"

namespace tensorflow {
class ConfigProto;
}

namespace mox {

// What TensorFlow finds on this machine.
struct Machine {
  int gpus = 0;             // that this process may see (CUDA_VISIBLE_DEVICES hides some)
  bool hidden_gpu = false;  // the machine has an NVIDIA GPU, and TensorFlow finds none
  bool for_gpus = false;    // TensorFlow is built for NVIDIA's GPUs (tensorflow[and-cuda])
  // For tests: there are no such GPUs. The graph is built for them, and runs on the CPU by TensorFlow's soft placement.
  bool pretended = false;
};

// Asks once. No device is made: no memory of a GPU is taken.
MOX_EXPORT const Machine& this_machine();

// Copyable, cheap. Names are of a form that tf.device and NodeDefs take; "" = where the runtime wants.
class MOX_EXPORT DevicePlan {
 public:
  // One tower on the CPU.
  DevicePlan() = default;
  // Towers on GPUs 0 to num_towers - 1 of a machine that has GPUs, unless `clone_on_cpu`; else on as many CPU devices.
  // InvalidArgumentError that says how many GPUs there are, when there are fewer.
  DevicePlan(int num_towers, bool clone_on_cpu, const Machine& machine = this_machine());

  int num_towers() const { return num_towers_; }
  bool on_gpus() const { return on_gpus_; }

  // Where model_fn and its gradients are computed.
  std::string tower(int i) const;
  // The model's variables and the state of its optimizer: beside the only tower; with copies beside the first, which
  // has those that count; else with several GPUs on the host, where each of them reads them (as TF-slim's deployment
  // has it), with several CPU devices on the first of them.
  std::string variables() const;
  // The graph of inter_mode.
  std::string inter() const;
  // The input pipeline, the global step and other counters, learning rates, summaries, hooks' own operations.
  std::string host() const;

  // The same devices, where each GPU of several has a copy of the variables that it trains. CPU devices have one
  // memory, and share one copy.
  DevicePlan with_copies() const;
  bool has_copies() const { return copies_ && on_gpus_ && num_towers_ > 1; }

  // The same devices, of a process that is worker `task` of a cluster with `servers` parameter servers. Names for the
  // front ends stay as they were; here() makes of them those that the whole cluster understands.
  DevicePlan in_cluster(int task, int servers) const;
  bool is_in_cluster() const { return servers_ > 0; }
  int servers() const { return servers_; }
  // "" is the host. A name that says its process already stays as it is.
  std::string here(const std::string& device) const;
  // Parameter server i's CPU.
  std::string server(int i) const;
  // The processes that a session of this one has to do with: parameter servers, the chief, itself. It need not wait for
  // others, nor fail with them. Empty without a cluster.
  std::vector<std::string> tasks_of_session() const;

  // Sets devices and the memory of GPUs: taken as it is needed, not all at once.
  void configure(tensorflow::ConfigProto* config) const;
  // `devices`: those that the runtime made, by full name. RunError when a tower's is not among them: soft placement
  // would train on the CPU without a word.
  void check_made(const std::vector<std::string>& devices) const;
  // For the log: where a training on GPUs runs, or why one that could does not. "" when there is nothing.
  std::string description() const;

 private:
  int num_towers_ = 1;
  bool on_gpus_ = false;
  bool clone_on_cpu_ = false;
  bool copies_ = false;
  Machine machine_;
  int task_ = 0, servers_ = 0;
};

// A process of a cluster: "/job:ps/replica:0/task:1". `job`: "worker" or "ps".
MOX_EXPORT std::string task_name(const std::string& job, int index);
// `device`, whatever process it names, of this one: its host where the name says none.
MOX_EXPORT std::string device_of_task(const std::string& task, const std::string& device = "");
// Whether it says which process it belongs to.
MOX_EXPORT bool names_task(const std::string& device);

// Whether it names a GPU: "/device:GPU:0", "/gpu:1", "/job:worker/task:0/device:GPU:0".
MOX_EXPORT bool is_gpu(const std::string& device);
// The CPU of the same process, for what has no kernel for GPUs; a name that is no GPU's stays as it is.
MOX_EXPORT std::string host_of(const std::string& device);

}  // namespace mox
