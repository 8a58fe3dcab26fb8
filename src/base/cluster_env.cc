#include "base/cluster_env.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <initializer_list>

#include "base/host.h"
#include "base/limits.h"
#include "base/text.h"
#include "moxing/error.h"

namespace mox {
namespace {

constexpr int64_t kMaxRanks = 1 << 16;
constexpr int64_t kLowestPort = 20000, kPortBlocks = 150, kPortsOfJob = 64;  // below the ports that Linux gives out

[[noreturn]] void reject(const std::string& where, const std::string& why, const std::string& advice) {
  throw InvalidArgumentError(where + ": " + why + "; " + advice);
}

bool read_number(std::string_view text, int64_t* value) {
  const std::optional<int64_t> number = parse_whole<int64_t>(text);
  *value = number.value_or(0);
  return number.has_value();
}

class Variables {
 public:
  explicit Variables(const EnvironmentReader& read) : read_(read) {}

  // The first of the names that is set, with its value.
  bool find(std::initializer_list<const char*> names, std::string* name, std::string* value) const {
    for (const char* candidate : names) {
      const char* text = read_(candidate);
      if (!text || !*text) continue;
      *name = candidate;
      *value = text;
      return true;
    }
    return false;
  }

  bool number(std::initializer_list<const char*> names, int64_t low, int64_t high, int64_t* result) const {
    std::string name, text;
    if (!find(names, &name, &text)) return false;
    if (!read_number(text, result) || *result < low || *result > high)
      reject("the environment variable " + name, "it is '" + text + "'",
             fmt::format("expected an integer from {} to {}", low, high));
    return true;
  }

 private:
  const EnvironmentReader& read_;
};

struct Ranks {
  int64_t rank = 0;
  std::vector<std::string> hosts;  // one a rank; without a port where it is to be chosen
};

// Where nobody said a port: those of a host follow each other.
void add_ports(int64_t first, std::vector<std::string>* hosts) {
  std::vector<std::pair<std::string, int64_t>> used;
  for (std::string& host : *hosts) {
    if (is_host_and_port(host)) continue;
    int64_t* count = nullptr;
    for (auto& [name, ports] : used)
      if (name == host) count = &ports;
    if (!count) count = &used.emplace_back(host, 0).second;
    const int64_t port = first + (*count)++;
    check_integer("a port for '" + host + "'", port, 1, 65535, "choose a lower first port");
    host += ":" + std::to_string(port);
  }
}

ClusterTask task_of(Ranks ranks, const RankOptions& options, int64_t job_number) {
  const auto count = static_cast<int64_t>(ranks.hosts.size());
  check_integer("the number of parameter servers", options.ps, 0, count - 1,
                fmt::format("there are {} processes, one at least is a worker", count));
  const int64_t first =
      options.first_port ? options.first_port : kLowestPort + kPortsOfJob * (job_number % kPortBlocks);
  add_ports(first, &ranks.hosts);
  const int64_t workers = count - options.ps;
  ClusterTask task;
  task.worker_hosts.assign(ranks.hosts.begin(), ranks.hosts.begin() + workers);
  task.ps_hosts.assign(ranks.hosts.begin() + workers, ranks.hosts.end());
  if (ranks.rank >= workers) task.job_name = "ps";
  task.task_index = ranks.rank >= workers ? ranks.rank - workers : ranks.rank;
  return task;
}

void check_host_count(const std::vector<std::string>& hosts, int64_t ranks) {
  if (static_cast<int64_t>(hosts.size()) == ranks) return;
  throw InvalidArgumentError(
      fmt::format("there are {} processes, but {} hosts are named ({}); expected one for each "
                  "process, in the order of the ranks",
                  ranks, hosts.size(), fmt::join(hosts, ",")));
}

// FNV-1a. The same for all processes of a run, and hardly for two runs.
int64_t number_of(const std::string& name) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  return static_cast<int64_t>(hash >> 1);
}

// Slurm's lists.

// One host a rank: in blocks, or one after the other over the nodes that have room.
std::vector<std::string> hosts_of_ranks(const std::vector<std::string>& names, std::vector<int64_t> counts,
                                        const std::string& distribution) {
  std::vector<std::string> hosts;
  const bool one_each = std::all_of(counts.begin(), counts.end(), [](int64_t count) { return count == 1; });
  if (!one_each && names.size() > 1 && (distribution.starts_with("arbitrary") || distribution.starts_with("plane")))
    reject("Slurm's variable SLURM_DISTRIBUTION", fmt::format("it is '{}'", distribution),
           "expected block or cyclic (srun -m block), or name the hosts, one for each rank, in order: "
           "--worker_hosts=host:port,…");
  if (!distribution.starts_with("cyclic")) {
    for (size_t i = 0; i < names.size(); ++i) hosts.insert(hosts.end(), static_cast<size_t>(counts[i]), names[i]);
    return hosts;
  }
  for (bool more = true; more;) {
    more = false;
    for (size_t i = 0; i < names.size(); ++i) {
      if (counts[i] == 0) continue;
      hosts.push_back(names[i]);
      more |= --counts[i] > 0;
    }
  }
  return hosts;
}

[[noreturn]] void reject_node_list(const std::string& list, const std::string& why) {
  reject("Slurm's node list '" + list + "'", why, "expected names and ranges like gpu[01-03,7],login");
}

// Each of `names` with each number of "01-03,7" behind it; a number has as many digits as its range's first.
std::vector<std::string> with_choice(const std::string& list, const std::vector<std::string>& names,
                                     const std::string& choice) {
  std::vector<std::string> longer;
  for (size_t from = 0; from <= choice.size();) {
    const size_t to = std::min(choice.find(',', from), choice.size());
    const std::string part = choice.substr(from, to - from);
    const size_t dash = part.find('-');
    const std::string first = part.substr(0, dash), last = dash == std::string::npos ? first : part.substr(dash + 1);
    int64_t low = 0, high = 0;
    if (!read_number(first, &low) || !read_number(last, &high) || first.size() > 18 || low < 0 || high < low ||
        high - low >= kMaxRanks)
      reject_node_list(list, "'" + part + "' is no number and no range");
    if (longer.size() + static_cast<size_t>(high - low + 1) * names.size() > static_cast<size_t>(kMaxRanks))
      reject_node_list(list, "too many names");
    for (int64_t i = low; i <= high; ++i)
      for (const std::string& name : names) longer.push_back(name + fmt::format("{:0{}}", i, first.size()));
    from = to + 1;
  }
  return longer;
}

}  // namespace

ClusterTask cluster_from_slurm(const EnvironmentReader& environment, const RankOptions& options) {
  const Variables variables(environment);
  Ranks ranks;
  int64_t count = 0, job = 0, step = 0;
  std::string name, nodes, per_node;
  if (!variables.number({"SLURM_PROCID"}, 0, kMaxRanks - 1, &ranks.rank))
    reject("Slurm's variable SLURM_PROCID is not set", "this process was not started by srun", "start it by srun");
  if (!variables.number({"SLURM_STEP_NUM_TASKS", "SLURM_NTASKS", "SLURM_NPROCS"}, 1, kMaxRanks, &count))
    reject("Slurm's variable SLURM_NTASKS is not set", "the number of processes is not known", "start it by srun");
  if (ranks.rank >= count)
    reject("Slurm's variable SLURM_PROCID", fmt::format("it is {} of {} tasks", ranks.rank, count), "start it by srun");
  variables.number({"SLURM_JOB_ID", "SLURM_JOBID"}, 0, INT64_MAX, &job);
  variables.number({"SLURM_STEP_ID", "SLURM_STEPID"}, 0, INT64_MAX, &step);
  if (!options.hosts.empty()) {
    ranks.hosts = options.hosts;
  } else {
    if (!variables.find({"SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST", "SLURM_NODELIST"}, &name, &nodes) ||
        !variables.find({"SLURM_STEP_TASKS_PER_NODE", "SLURM_TASKS_PER_NODE"}, &name, &per_node))
      reject("Slurm's variables SLURM_NODELIST and SLURM_TASKS_PER_NODE", "one is not set",
             "name the hosts, one for each rank, in order: --worker_hosts=host:port,…");
    const std::vector<std::string> names = expand_slurm_hosts(nodes);
    const std::vector<int64_t> counts = expand_slurm_counts(per_node);
    if (names.size() != counts.size())
      reject("Slurm's variables",
             fmt::format("'{}' are {} nodes, '{}' are {}", nodes, names.size(), per_node, counts.size()),
             "name the hosts, one for each rank, in order: --worker_hosts=host:port,…");
    std::string distribution;
    variables.find({"SLURM_DISTRIBUTION"}, &name, &distribution);
    ranks.hosts = hosts_of_ranks(names, counts, distribution);
  }
  check_host_count(ranks.hosts, count);
  // Far from the next job's, which may run on the same nodes.
  return task_of(std::move(ranks), options, job % kPortBlocks + 61 * (step % kPortBlocks));
}

ClusterTask cluster_from_mpi(const EnvironmentReader& environment, const RankOptions& options) {
  const Variables variables(environment);
  Ranks ranks;
  int64_t count = 0, here = 0;
  std::string name, job;
  if (!variables.number({"OMPI_COMM_WORLD_RANK", "PMI_RANK"}, 0, kMaxRanks - 1, &ranks.rank))
    reject("neither OMPI_COMM_WORLD_RANK nor PMI_RANK is set", "this process was not started by MPI",
           "start it by mpirun or mpiexec");
  if (!variables.number({"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"}, 1, kMaxRanks, &count))
    reject("neither OMPI_COMM_WORLD_SIZE nor PMI_SIZE is set", "the number of processes is not known",
           "start it by mpirun or mpiexec");
  if (ranks.rank >= count)
    reject("MPI's variables", fmt::format("this is rank {} of {}", ranks.rank, count), "start it by mpirun or mpiexec");
  variables.number({"OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS"}, 1, kMaxRanks, &here);
  if (!options.hosts.empty()) {
    ranks.hosts = options.hosts;
  } else if (here == count) {
    ranks.hosts.assign(static_cast<size_t>(count), "127.0.0.1");
  } else {
    reject("MPI does not say on which hosts its ranks are",
           here ? fmt::format("{} of {} are on this one", here, count)
                : "neither OMPI_COMM_WORLD_LOCAL_SIZE nor MPI_LOCALNRANKS is set",
           "name them, one for each rank, in order: --worker_hosts=host:port,…");
  }
  check_host_count(ranks.hosts, count);
  // Each run has a name of its own, where MPI gives it one: two on a host then have other ports.
  variables.find({"PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid", "PMI_JOBID", "SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID"},
                 &name, &job);
  return task_of(std::move(ranks), options, number_of(job));
}

std::vector<std::string> expand_slurm_hosts(const std::string& list) {
  std::vector<std::string> hosts;
  // A name is a row of pieces, each a text or a choice in brackets; the names so far are multiplied by each choice.
  for (size_t at = 0; at <= list.size(); ++at) {
    std::vector<std::string> names = {""};
    for (; at < list.size() && list[at] != ','; ++at) {
      const size_t end = list[at] == '[' ? list.find(']', at) : at;
      if (end == std::string::npos || list[at] == ']') reject_node_list(list, "a bracket is alone");
      if (list[at] == '[')
        names = with_choice(list, names, list.substr(at + 1, end - at - 1));
      else
        for (std::string& name : names) name += list[at];
      at = end;
    }
    for (std::string& name : names) {
      if (name.empty()) reject_node_list(list, "a name is empty");
      hosts.push_back(std::move(name));
    }
    if (hosts.size() > static_cast<size_t>(kMaxRanks)) reject_node_list(list, "too many names");
  }
  return hosts;
}

std::vector<int64_t> expand_slurm_counts(const std::string& list) {
  std::vector<int64_t> counts;
  int64_t sum = 0;
  for (size_t at = 0; at <= list.size();) {
    const size_t end = std::min(list.find(',', at), list.size());
    std::string part = list.substr(at, end - at);
    int64_t count = 0, times = 1;
    const size_t open = part.find("(x");
    const bool repeated = open != std::string::npos && part.ends_with(')');
    const bool right =
        read_number(part.substr(0, open), &count) &&
        (open == std::string::npos || (repeated && read_number(part.substr(open + 2, part.size() - open - 3), &times)));
    const bool in_range = right && count >= 1 && times >= 1 && count <= kMaxRanks && times <= kMaxRanks;
    if (in_range) sum += count * times;
    if (!in_range || sum > kMaxRanks)
      reject("Slurm's count of tasks a node '" + list + "'", "'" + part + "' is no count",
             "expected a list like 2(x3),1");
    counts.insert(counts.end(), static_cast<size_t>(times), count);
    at = end + 1;
  }
  return counts;
}

}  // namespace mox
