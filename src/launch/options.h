// What `mox launch` was asked for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace mox::launch {

// Whether the manual's flags (--ps_hosts, --worker_hosts, --job_name, --task_index) are added to the command.
enum class PassFlags { kAuto, kOn, kOff };  // auto: for mox train, eval, predict and export

constexpr int64_t kMaxTasks = 1024;
constexpr int64_t kMaxRestarts = 1'000'000;
constexpr double kMaxGraceSecs = 86400;

struct Options {
  int64_t workers = 0;  // 0: one a host
  int64_t ps = 0;
  std::optional<int64_t> gpus_per_worker;  // not given: CUDA_VISIBLE_DEVICES stays as it is
  int64_t threads_per_worker = 0;          // 0: as the programs choose
  std::vector<std::string> hosts;          // empty: this one, without ssh
  std::string ssh_command = "ssh";
  std::string remote_mox;  // empty: the path of this program there, else mox in PATH
  int64_t restarts = 0;    // of each task, or of all together
  bool restart_all = false;
  std::string cluster_file;
  double grace_secs = 10;
  PassFlags pass_flags = PassFlags::kAuto;
  std::vector<std::string> environment;  // NAME=VALUE
  std::string directory;                 // empty: the current one
  bool release_ports = false;
  bool name_lines = true;  // false: what tasks print goes on as it is, for a command whose tasks are its own
  std::vector<std::string> command;
};

// InvalidArgumentError for what cannot work, before anything is started.
void check_options(const Options& options);

// "a,b,c" -> its parts. InvalidArgumentError when one is empty.
std::vector<std::string> split_hosts(const std::string& text);

// "NAME=VALUE" as it is; "NAME" with the value that this process has. InvalidArgumentError.
std::string environment_entry(const std::string& text);

}  // namespace mox::launch
