#include "base/tf_config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/json_text.h"
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
const json* member(const json& object, const char* name) {
  const auto found = object.find(name);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

const json* object_member(const json& object, const char* name) {
  const json* value = member(object, name);
  if (value && !value->is_object()) throw Wrong{fmt::format("its {} is {}, expected an object", name, shown(*value))};
  return value;
}

Hosts hosts_of(const json& config, const char* job) {
  const json* cluster = object_member(config, "cluster");
  const json* hosts = cluster ? member(*cluster, job) : nullptr;
  if (!hosts) return {};
  const auto wrong = [&](const json& value) {
    return Wrong{fmt::format("its cluster.{} has {}, expected a list of \"host:port\"", job, shown(value))};
  };
  if (!hosts->is_array()) throw wrong(*hosts);
  Hosts result;
  for (const json& host : *hosts) {
    if (!host.is_string()) throw wrong(host);
    result.push_back(host.get<std::string>());
  }
  return result;
}

int64_t index_of(const json& task) {
  const json* index = member(task, "index");
  if (!index) return 0;
  const bool fits = index->is_number_unsigned() && index->get<uint64_t>() <= kMaxTask;
  if (!fits)
    throw Wrong{fmt::format("its task.index is {}, expected an integer from 0 to {}", shown(*index), kMaxTask)};
  return static_cast<int64_t>(index->get<uint64_t>());
}

std::optional<FlagValue> value_in(const json& config, const std::string& flag) {
  Hosts chiefs = hosts_of(config, "chief");
  if (chiefs.empty()) chiefs = hosts_of(config, "master");
  if (flag == "ps_hosts") return fmt::format("{}", fmt::join(hosts_of(config, "ps"), ","));
  if (flag == "worker_hosts") {
    Hosts workers = chiefs;
    for (const std::string& host : hosts_of(config, "worker")) workers.push_back(host);
    return fmt::format("{}", fmt::join(workers, ","));
  }
  const json* task = object_member(config, "task");
  if (!task) return std::nullopt;
  const json* given = member(*task, "type");
  if (given && !given->is_string())
    throw Wrong{fmt::format("its task.type is {}, expected \"chief\", \"worker\" or \"ps\"", shown(*given))};
  const std::string type = given ? given->get<std::string>() : "worker";
  const bool chief = type == "chief" || type == "master";
  if (flag == "job_name") return chief ? "worker" : type;
  return type == "worker" ? index_of(*task) + static_cast<int64_t>(chiefs.size()) : index_of(*task);
}

}  // namespace

std::optional<FlagValue> value_in_cluster_text(const std::string& text, const std::string& flag) {
  std::string why;
  try {
    const json config = parse_json(text);
    if (config.is_object()) return value_in(config, flag);
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

std::optional<FlagValue> value_in_tf_config(const std::string& flag) {
  if (flag != "job_name" && flag != "task_index" && flag != "ps_hosts" && flag != "worker_hosts") return std::nullopt;
  const char* text = std::getenv("TF_CONFIG");
  if (!text || !*text) return std::nullopt;
  return value_in_cluster_text(text, flag);
}

}  // namespace mox
