#include "base/tf_config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "base/host.h"
#include "base/json_text.h"
#include "base/text.h"
#include "moxing/error.h"

namespace mox {
namespace {

using nlohmann::json;
using Hosts = std::vector<std::string>;

constexpr size_t kShown = 500;  // bytes of the text in an error
constexpr int64_t kMaxTask = 1'000'000;

struct Wrong {
  std::string why;
};

// A value in an error; writing a deeply nested one would recurse.
std::string shown(const json& value) { return value.is_structured() ? value.type_name() : json_text(value); }

// The member of an object; null when it is missing.
const json* member(const json* object, const char* name) {
  if (!object) return nullptr;
  const auto found = object->find(name);
  return found == object->end() || found->is_null() ? nullptr : &*found;
}

const json* object_member(const json& object, const char* name) {
  const json* value = member(&object, name);
  if (value && !value->is_object()) throw Wrong{fmt::format("its {} is {}, expected an object", name, shown(*value))};
  return value;
}

Hosts hosts_in(const json* cluster, const char* job) {
  const json* hosts = member(cluster, job);
  if (!hosts) return {};
  const auto wrong = [&](const json& value) {
    return Wrong{fmt::format("its cluster.{} has {}, expected a list of \"host:port\"", job, shown(value))};
  };
  if (!hosts->is_array()) throw wrong(*hosts);
  Hosts result;
  for (const json& host : *hosts) {
    if (!host.is_string() || !is_host_and_port(host.get<std::string>())) throw wrong(host);
    result.push_back(host.get<std::string>());
  }
  return result;
}

// Kubeflow writes the index as a number, some write it as a text.
int64_t index_in(const json* task) {
  const json* given = member(task, "index");
  if (!given) return 0;
  int64_t index = -1;
  if (given->is_string()) {
    index = parse_whole<int64_t>(given->get<std::string>()).value_or(-1);
  } else if (given->is_number_unsigned() && given->get<uint64_t>() <= kMaxTask) {
    index = given->get<int64_t>();
  }
  if (index < 0 || index > kMaxTask)
    throw Wrong{fmt::format("its task.index is {}, expected an integer from 0 to {}", shown(*given), kMaxTask)};
  return index;
}

std::string type_in(const json* task) {
  const json* given = member(task, "type");
  if (!given) return "worker";
  const std::string type = given->is_string() ? given->get<std::string>() : "";
  for (const char* known : {"chief", "master", "worker", "ps", "evaluator"})
    if (type == known) return type;
  throw Wrong{fmt::format(R"(its task.type is {}, expected "chief", "worker", "ps" or "evaluator")", shown(*given))};
}

void check_index(int64_t index, size_t count, const std::string& type) {
  if (index < static_cast<int64_t>(count)) return;
  throw Wrong{fmt::format("its task.index is {}, but cluster.{} has {} hosts, expected {}", index, type, count,
                          count ? fmt::format("an index from 0 to {}", count - 1) : "this task among them")};
}

struct Parsed {
  ClusterTask cluster;
  bool has_task = false;
};

Parsed parse(const json& config) {
  if (member(&config, "sparseCluster"))
    throw Wrong{
        "it has a sparseCluster, which does not name all workers, expected a cluster (in a TFJob: without "
        "enableDynamicWorker)"};
  const json *cluster = object_member(config, "cluster"), *task = object_member(config, "task");
  Parsed result;
  ClusterTask& out = result.cluster;
  result.has_task = task != nullptr;
  out.worker_hosts = hosts_in(cluster, "chief");
  if (out.worker_hosts.empty()) out.worker_hosts = hosts_in(cluster, "master");
  const size_t chiefs = out.worker_hosts.size();
  if (chiefs > 1) throw Wrong{fmt::format("its cluster has {} chiefs, expected one", chiefs)};
  const Hosts workers = hosts_in(cluster, "worker");
  out.worker_hosts.insert(out.worker_hosts.end(), workers.begin(), workers.end());
  out.ps_hosts = hosts_in(cluster, "ps");

  const std::string type = type_in(task);
  out.task_index = index_in(task);
  if (type == "ps" || type == "evaluator") out.job_name = type;
  // A process alone may leave out the cluster.
  const bool alone = out.worker_hosts.empty() && out.task_index == 0;
  if (type == "chief" || type == "master") {
    if (!alone) check_index(out.task_index, chiefs, type);
  } else if (type == "worker") {
    if (!alone) check_index(out.task_index, workers.size(), type);
    out.task_index += static_cast<int64_t>(chiefs);
  } else if (type == "ps") {
    check_index(out.task_index, out.ps_hosts.size(), type);
  }
  return result;
}

Parsed parse(const std::string& text) {
  std::string why;
  try {
    const json config = parse_json(text);
    if (config.is_object()) return parse(config);
    why = "it is no JSON object";
  } catch (const json::exception& e) {
    why = "it is no JSON: " + json_problem(e);
  } catch (const Wrong& wrong) {
    why = wrong.why;
  }
  const std::string shown = text.size() <= kShown ? text : text.substr(0, kShown) + "…";
  throw InvalidArgumentError("the environment variable TF_CONFIG cannot be used: " + why + "; it is: " + shown +
                             "; correct or unset it");
}

}  // namespace

ClusterTask cluster_from_tf_config(const std::string& text) { return parse(text).cluster; }

std::optional<FlagValue> value_in_tf_config(const std::string& flag, const std::string& text) {
  const auto [cluster, has_task] = parse(text);
  if (flag == "job_name" && has_task) return cluster.job_name;
  if (cluster.job_name == "evaluator") return std::nullopt;
  if (flag == "ps_hosts") return fmt::format("{}", fmt::join(cluster.ps_hosts, ","));
  if (flag == "worker_hosts") return fmt::format("{}", fmt::join(cluster.worker_hosts, ","));
  if (flag == "task_index" && has_task) return cluster.task_index;
  return std::nullopt;
}

}  // namespace mox
