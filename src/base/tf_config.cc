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

using Hosts = std::vector<std::string>;

[[noreturn]] void reject(const std::string& text, const std::string& why) {
  throw InvalidArgumentError("the environment variable TF_CONFIG cannot be used: " + why + "; it is: " + text +
                             "; correct or unset it");
}

Hosts hosts_of(const nlohmann::json& config, const char* job) {
  const auto cluster = config.find("cluster");
  if (cluster == config.end()) return {};
  const auto hosts = cluster->find(job);
  return hosts == cluster->end() ? Hosts() : hosts->get<Hosts>();
}

std::optional<FlagValue> value_in(const nlohmann::json& config, const std::string& flag) {
  Hosts chiefs = hosts_of(config, "chief");
  if (chiefs.empty()) chiefs = hosts_of(config, "master");
  if (flag == "ps_hosts") return fmt::format("{}", fmt::join(hosts_of(config, "ps"), ","));
  if (flag == "worker_hosts") {
    Hosts workers = chiefs;
    for (const std::string& host : hosts_of(config, "worker")) workers.push_back(host);
    return fmt::format("{}", fmt::join(workers, ","));
  }
  const auto task = config.find("task");
  if (task == config.end()) return std::nullopt;
  const std::string type = task->value("type", "worker");
  const bool chief = type == "chief" || type == "master";
  if (flag == "job_name") return chief ? "worker" : type;
  const int64_t index = task->value("index", int64_t{0});
  return type == "worker" ? index + static_cast<int64_t>(chiefs.size()) : index;
}

}  // namespace

std::optional<FlagValue> value_in_tf_config(const std::string& flag) {
  if (flag != "job_name" && flag != "task_index" && flag != "ps_hosts" && flag != "worker_hosts") return std::nullopt;
  const char* text = std::getenv("TF_CONFIG");
  if (!text || !*text) return std::nullopt;
  try {
    const nlohmann::json config = parse_json(text);
    if (!config.is_object()) reject(text, "it is no JSON object");
    return value_in(config, flag);
  } catch (const nlohmann::json::exception& e) {
    reject(text, e.what());
  }
}

}  // namespace mox
