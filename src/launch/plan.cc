#include "launch/plan.h"

#include <dirent.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/json_text.h"
#include "base/random.h"
#include "base/text.h"
#include "moxing/error.h"

namespace mox::launch {
namespace {

bool gets_flags(const Options& options) {
  if (options.pass_flags != PassFlags::kAuto) return options.pass_flags == PassFlags::kOn;
  constexpr std::string_view kCommands[] = {"train", "eval", "predict", "export"};
  return options.command.size() > 1 && base_name(options.command[0]) == "mox" &&
         std::find(std::begin(kCommands), std::end(kCommands), options.command[1]) != std::end(kCommands);
}

bool has_flag(const std::vector<std::string>& command, const std::string& name) {
  return std::any_of(command.begin(), command.end(), [&](const std::string& word) {
    return word == "--" + name || word.starts_with("--" + name + "=");
  });
}

// The devices that this process may use, in its own words; empty: nothing says so.
std::vector<std::string> visible_devices() {
  const char* text = std::getenv("CUDA_VISIBLE_DEVICES");
  std::vector<std::string> devices;
  std::istringstream parts(text ? text : "");
  for (std::string part; std::getline(parts, part, ',');)
    if (!part.empty()) devices.push_back(part);
  return devices;
}

// /dev/nvidia0, /dev/nvidia1, …
int64_t devices_of_this_host() {
  DIR* folder = ::opendir("/dev");
  if (!folder) return 0;
  int64_t count = 0;
  while (const dirent* entry = ::readdir(folder))
    count +=
        std::strncmp(entry->d_name, "nvidia", 6) == 0 && std::isdigit(static_cast<unsigned char>(entry->d_name[6]));
  ::closedir(folder);
  return count;
}

std::string devices_of(const Options& options, const TaskPlan& task) {
  if (task.job != "worker") return "";
  const auto count = static_cast<size_t>(*options.gpus_per_worker);
  const std::vector<std::string> visible = options.hosts.empty() ? visible_devices() : std::vector<std::string>();
  std::vector<std::string> mine;
  for (size_t i = task.on_host * count; i < (task.on_host + 1) * count; ++i)
    mine.push_back(i < visible.size() ? visible[i] : std::to_string(i));
  return fmt::format("{}", fmt::join(mine, ","));
}

}  // namespace

std::vector<TaskPlan> plan_tasks(const Options& options) {
  const size_t hosts = std::max<size_t>(1, options.hosts.size());
  const size_t workers = options.workers ? static_cast<size_t>(options.workers) : hosts;
  std::vector<TaskPlan> tasks;
  std::vector<size_t> workers_on(hosts), ps_on(hosts);
  for (size_t i = 0; i < workers; ++i) {
    const size_t host = workers < hosts ? i : i * hosts / workers;
    tasks.push_back({"worker", i, host, workers_on[host]++});
  }
  for (size_t i = 0; i < static_cast<size_t>(options.ps); ++i) {
    const size_t host = (workers < hosts ? workers + i : i) % hosts;  // first those that have nothing to do
    tasks.push_back({"ps", i, host, ps_on[host]++});
  }
  return tasks;
}

std::string address_of_host(const Options& options, size_t host) {
  if (options.hosts.empty()) return "127.0.0.1";
  const std::string& name = options.hosts[host];
  const std::string bare = name.substr(name.rfind('@') + 1);
  return bare.find(':') != std::string::npos && bare[0] != '[' ? "[" + bare + "]" : bare;
}

std::string make_token() {
  std::string token;
  for (const char byte : random_bytes(32)) token += fmt::format("{:02x}", static_cast<uint8_t>(byte));
  return token;
}

std::vector<std::string> command_of(const Options& options, const TaskPlan& task, const Cluster& cluster) {
  std::vector<std::string> command = options.command;
  if (!gets_flags(options)) return command;
  const auto give = [&](const std::string& name, const std::string& value) {
    command.push_back("--" + name + "=" + value);
  };
  if (!cluster.ps.empty()) give("ps_hosts", fmt::format("{}", fmt::join(cluster.ps, ",")));
  give("worker_hosts", fmt::format("{}", fmt::join(cluster.workers, ",")));
  give("job_name", task.job);
  give("task_index", std::to_string(task.index));
  if (task.job == "worker" && options.gpus_per_worker.value_or(0) > 0 && !has_flag(command, "num_gpus"))
    give("num_gpus", std::to_string(*options.gpus_per_worker));
  if (options.threads_per_worker > 0 && !has_flag(command, "num_intra_threads"))
    give("num_intra_threads", std::to_string(options.threads_per_worker));
  return command;
}

std::vector<std::string> environment_of(const Options& options, const TaskPlan& task, const Cluster& cluster) {
  nlohmann::ordered_json config;
  config["cluster"]["worker"] = cluster.workers;
  if (!cluster.ps.empty()) config["cluster"]["ps"] = cluster.ps;
  config["task"] = {{"type", task.job}, {"index", task.index}};
  std::vector<std::string> entries = {"TF_CONFIG=" + json_text(config), "MOX_CLUSTER_TOKEN=" + cluster.token};
  if (options.gpus_per_worker) entries.push_back("CUDA_VISIBLE_DEVICES=" + devices_of(options, task));
  if (options.threads_per_worker > 0) {
    const std::string threads = std::to_string(options.threads_per_worker);
    for (const char* name : {"OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"})
      entries.push_back(std::string(name) + "=" + threads);
  }
  entries.insert(entries.end(), options.environment.begin(), options.environment.end());  // the last one counts
  return entries;
}

std::string check_gpus(const Options& options) {
  if (options.gpus_per_worker.value_or(0) == 0 || !options.hosts.empty()) return "";
  const int64_t needed = *options.gpus_per_worker * options.workers;
  const auto named = static_cast<int64_t>(visible_devices().size());
  if (std::getenv("CUDA_VISIBLE_DEVICES")) {
    if (named < needed)
      throw InvalidArgumentError(
          fmt::format("--gpus_per_worker={} needs {} devices for {} workers, but CUDA_VISIBLE_DEVICES names {}; lower "
                      "--workers or --gpus_per_worker",
                      *options.gpus_per_worker, needed, options.workers, named));
    return "";
  }
  const int64_t there = devices_of_this_host();
  if (there == 0) return "this host has no NVIDIA device (/dev/nvidia0, …); CUDA_VISIBLE_DEVICES is set all the same";
  if (there < needed)
    throw InvalidArgumentError(
        fmt::format("--gpus_per_worker={} needs {} devices for {} workers, but this host has {}; lower --workers or "
                    "--gpus_per_worker",
                    *options.gpus_per_worker, needed, options.workers, there));
  return "";
}

}  // namespace mox::launch
