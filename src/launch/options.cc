#include "launch/options.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <set>

#include "base/limits.h"
#include "moxing/error.h"

namespace mox::launch {
namespace {

[[noreturn]] void reject(const std::string& why) { throw InvalidArgumentError(why); }

void check_host(const std::string& host) {
  const auto fits = [](unsigned char c) {
    return std::isalnum(c) || std::string_view("._-@:[]%").find(c) != std::string_view::npos;
  };
  if (host.empty() || host.front() == '-' || host.back() == '@' || !std::all_of(host.begin(), host.end(), fits))
    reject("--hosts: '" + host + "' is no host name; expected NAME or USER@NAME, comma-separated");
}

void check_hosts(const Options& options) {
  std::set<std::string> seen;
  for (const std::string& host : options.hosts) {
    check_host(host);
    if (!seen.insert(host).second)
      reject("--hosts: '" + host + "' is there twice; name it once, --workers says how many run there");
  }
  if (options.hosts.empty()) return;
  if (options.ssh_command.find_first_not_of(" \t") == std::string::npos) reject("--ssh_command is empty");
  const auto tasks = (options.workers ? options.workers : static_cast<int64_t>(options.hosts.size())) + options.ps;
  if (tasks < static_cast<int64_t>(options.hosts.size()))
    reject(fmt::format("--hosts has {} hosts for {} tasks; leave hosts out, or raise --workers", options.hosts.size(),
                       tasks));
}

bool is_program(const std::string& path) {
  struct stat st;
  return ::stat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

std::string search_path(const Options& options) {
  for (const std::string& entry : options.environment)
    if (entry.starts_with("PATH=")) return entry.substr(5);
  const char* path = std::getenv("PATH");
  return path ? path : "/bin:/usr/bin";
}

// On this host only: what others have, their agents tell.
void check_program(const Options& options) {
  const std::string& name = options.command[0];
  if (name.empty()) reject("the program's name is empty; expected a program after --");
  const std::string folder = options.directory.empty() ? "." : options.directory;
  if (name.find('/') != std::string::npos) {
    const std::string path = name[0] == '/' ? name : folder + "/" + name;
    if (!is_program(path)) reject("'" + name + "' is no program that can be started; expected an executable file");
    return;
  }
  const std::string path = search_path(options);
  for (size_t at = 0; at <= path.size();) {
    const size_t end = std::min(path.find(':', at), path.size());
    if (is_program(end == at ? folder + "/" + name : path.substr(at, end - at) + "/" + name)) return;
    at = end + 1;
  }
  reject("there is no program '" + name + "' in PATH (" + path + "); give its path");
}

void check_environment(const Options& options) {
  constexpr const char* kOurs[] = {"TF_CONFIG", "MOX_CLUSTER_TOKEN"};
  for (const std::string& entry : options.environment)
    for (const char* name : kOurs)
      if (entry.starts_with(std::string(name) + "="))
        reject("--env=" + std::string(name) + ": mox launch sets it for each task; leave it out");
}

}  // namespace

std::vector<std::string> split_hosts(const std::string& text) {
  std::vector<std::string> hosts;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    hosts.push_back(text.substr(at, end - at));
    check_host(hosts.back());
    at = end + 1;
  }
  return hosts;
}

std::string environment_entry(const std::string& text) {
  const std::string name = text.substr(0, text.find('='));
  if (name.empty()) reject("--env=" + text + ": a name is missing; expected NAME=VALUE or NAME");
  if (name.size() < text.size()) return text;
  const char* value = std::getenv(name.c_str());
  if (!value)
    reject("--env=" + name + ": this variable is not set here; expected NAME=VALUE, or a variable that is set");
  return name + "=" + value;
}

void check_options(const Options& options) {
  if (options.workers == 0 && options.hosts.empty())
    reject("--workers is missing; expected the number of workers, e.g. mox launch --workers=2 -- mox train …");
  if (options.workers != 0) check_integer("--workers", options.workers, 1, kMaxTasks);
  check_integer("--ps", options.ps, 0, kMaxTasks);
  check_integer("--gpus_per_worker", options.gpus_per_worker.value_or(0), 0, kMaxDevices);
  check_integer("--threads_per_worker", options.threads_per_worker, 0, kMaxThreads, "0: as the programs choose");
  check_integer("--restarts", options.restarts, 0, kMaxRestarts);
  check_number("--grace_secs", options.grace_secs, 0, kMaxGraceSecs, "the seconds from asking to killing");
  check_hosts(options);
  check_environment(options);
  if (options.restart_all && options.restarts == 0) reject("--restart_all needs --restarts=N");
  if (options.command.empty())
    reject("there is no program; put it after --, e.g. mox launch --workers=2 -- python train.py");
  struct stat st;
  if (!options.hosts.empty()) return;
  if (!options.directory.empty() && (::stat(options.directory.c_str(), &st) != 0 || !S_ISDIR(st.st_mode)))
    reject("--directory: '" + options.directory + "' is no folder");
  check_program(options);
}

}  // namespace mox::launch
