#include "moxing/flags.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <map>

#include "base/cluster_place.h"
#include "base/flag_table.h"
#include "base/host.h"
#include "base/mutex.h"
#include "base/near_name.h"
#include "base/old_flags.h"
#include "base/pattern.h"
#include "base/printable.h"
#include "base/text.h"
#include "moxing/error.h"
#include "moxing/log.h"

namespace mox {
namespace {

struct Store {
  Mutex mu;
  std::map<std::string, FlagValue> values MOX_GUARDED_BY(mu);  // what differs from the default
};

Store& store() {
  static Store* s = new Store;
  return *s;
}

const FlagInfo* find(const std::string& name) {
  for (const FlagInfo& flag : flag_table())
    if (name == flag.name) return &flag;
  return nullptr;
}

std::vector<std::string> flag_names() {
  std::vector<std::string> names;
  for (const FlagInfo& flag : flag_table()) names.emplace_back(flag.name);
  return names;
}

const FlagInfo& known(const std::string& name) {
  if (const FlagInfo* flag = find(name)) return *flag;
  std::string names;
  for (const FlagInfo& flag : flag_table()) names += (names.empty() ? "" : ", ") + std::string(flag.name);
  throw InvalidArgumentError("there is no flag '" + name + "'; there are: " + names + did_you_mean(name, flag_names()));
}

[[noreturn]] void reject(const FlagInfo& flag, const std::string& got) {
  throw InvalidArgumentError(fmt::format("flag --{}: got '{}', expected {}{}", flag.name, printable_name(got),
                                         flag.values(), did_you_mean(got, flag.words)));
}

template <typename Number>
Number parse_number(const FlagInfo& flag, const std::string& text) {
  if (const std::optional<Number> value = parse_whole<Number>(text)) return *value;
  reject(flag, text);
}

bool is_word(const FlagInfo& flag, const std::string& text) {
  return std::find(flag.words.begin(), flag.words.end(), text) != flag.words.end();
}

FlagValue parse(const FlagInfo& flag, const std::string& text) {
  if (std::holds_alternative<std::string>(flag.default_value) || is_word(flag, text)) return text;
  if (std::holds_alternative<int64_t>(flag.default_value)) return parse_number<int64_t>(flag, text);
  if (std::holds_alternative<double>(flag.default_value)) return parse_number<double>(flag, text);
  if (text == "true" || text == "True" || text == "1") return true;
  if (text == "false" || text == "False" || text == "0") return false;
  reject(flag, text);
}

void check_text(const FlagInfo& flag, const std::string& text) {
  const std::vector<std::string> entries = split_list(text);
  if (!flag.words.empty() && !is_word(flag, text)) reject(flag, text);
  if (flag.text == FlagInfo::Text::kHosts && !std::all_of(entries.begin(), entries.end(), is_host_and_port))
    reject(flag, text);
  if (flag.text != FlagInfo::Text::kPatterns) return;
  for (const std::string& entry : entries) {
    try {
      Pattern{entry};
    } catch (const InvalidArgumentError& e) {
      throw InvalidArgumentError(fmt::format("flag --{}: {}", flag.name, e.what()));
    }
  }
}

void check(const FlagInfo& flag, const FlagValue& value) {
  const auto fits = [&](auto number) { return number >= flag.low && number <= flag.high; };  // nan does not
  if (const auto* i = std::get_if<int64_t>(&value); i && !fits(static_cast<double>(*i))) reject(flag, to_string(value));
  if (const auto* d = std::get_if<double>(&value); d && !fits(*d)) reject(flag, to_string(value));
  if (const auto* text = std::get_if<std::string>(&value)) check_text(flag, *text);
  if (!flag.offered && value != flag.default_value)
    throw InvalidArgumentError(
        fmt::format("flag --{}: got '{}', which is not offered by this version: {}; leave the flag out ({})", flag.name,
                    to_string(value), flag.help, to_string(flag.default_value)));
}

// The value with the type that the flag keeps, or an error.
FlagValue fitted(const FlagInfo& flag, const FlagValue& value) {
  FlagValue result = value;
  if (value.index() != flag.default_value.index()) {
    const auto* integer = std::get_if<int64_t>(&value);
    if (const auto* text = std::get_if<std::string>(&value))
      result = parse(flag, *text);
    else if (integer && std::holds_alternative<double>(flag.default_value))
      result = static_cast<double>(*integer);
    else
      reject(flag, to_string(value));
  }
  check(flag, result);
  return result;
}

// What was said of this process's place in a cluster.
GivenPlace given_place() {
  GivenPlace given;
  Store& s = store();
  MutexLock lock(s.mu);
  const auto take = [&](const char* name, auto* into) MOX_REQUIRES(s.mu) {
    using Value = std::remove_reference_t<decltype(*into)>;
    if (const auto found = s.values.find(name); found != s.values.end()) *into = std::get<Value>(found->second);
  };
  std::string ps_hosts, worker_hosts;
  take("cluster", &given.cluster);
  take("cluster_ps", &given.cluster_ps);
  take("cluster_port", &given.cluster_port);
  take("ps_hosts", &ps_hosts);
  take("worker_hosts", &worker_hosts);
  given.ps_hosts = split_list(ps_hosts);
  given.worker_hosts = split_list(worker_hosts);
  return given;
}

// The value that the environment gives, where there is one.
std::optional<FlagValue> from_environment(const FlagInfo& flag) {
  const EnvironmentReader read = [](const char* name) -> const char* { return std::getenv(name); };
  if (const std::optional<FlagValue> value = value_from_cluster(flag.name, given_place(), read))
    return fitted(flag, *value);
  const char* text = *flag.environment ? std::getenv(flag.environment) : nullptr;
  if (!text || !*text) return std::nullopt;
  try {
    return fitted(flag, std::string(text));
  } catch (const InvalidArgumentError& e) {
    throw InvalidArgumentError(fmt::format("environment variable {}: {}", flag.environment, e.what()));
  }
}

void store_value(const std::string& name, FlagValue value) {
  Store& s = store();
  MutexLock lock(s.mu);
  s.values[name] = std::move(value);
}

std::optional<FlagValue> stored(const std::string& name) {
  Store& s = store();
  MutexLock lock(s.mu);
  const auto found = s.values.find(name);
  return found == s.values.end() ? std::nullopt : std::optional<FlagValue>(found->second);
}

bool is_name(const std::string& name) { return find(name) || find_old_flag(name); }

bool is_switch(const std::string& name) {
  const FlagInfo* flag = find(name);
  return flag ? std::holds_alternative<bool>(flag->default_value) : find_old_flag(name)->is_switch;
}

// Returns what has no effect of it, "" when all has.
std::string set_checked(const std::string& name, const FlagValue& value) {
  if (find_old_flag(name)) {
    store_value(name, value);
    return "--" + name;
  }
  const FlagInfo& flag = known(name);
  const std::optional<OldValue> old = find_old_value(name, value);
  if (!old || old->instead) store_value(name, fitted(flag, old ? *old->instead : value));
  return old ? old->what : "";
}

void tell_without_effect(const std::string& what) {
  if (!what.empty()) log_warning("without effect in this version: " + what);
}

}  // namespace

std::string to_string(const FlagValue& value) {
  if (const auto* b = std::get_if<bool>(&value)) return *b ? "true" : "false";
  if (const auto* i = std::get_if<int64_t>(&value)) return std::to_string(*i);
  if (const auto* d = std::get_if<double>(&value)) return fmt::format("{}", *d);
  return std::get<std::string>(value);
}

const std::vector<FlagInfo>& all_flags() { return flag_table(); }

FlagValue get_flag(const std::string& name) {
  if (const std::optional<FlagValue> value = stored(name)) return *value;
  if (find_old_flag(name)) return std::string();
  const FlagInfo& flag = known(name);
  return from_environment(flag).value_or(flag.default_value);
}

void set_flag(const std::string& name, const FlagValue& value) { tell_without_effect(set_checked(name, value)); }

bool is_flag_set(const std::string& name) {
  if (stored(name)) return true;
  return !find_old_flag(name) && from_environment(known(name)).has_value();
}

void reset_flags() {
  Store& s = store();
  MutexLock lock(s.mu);
  s.values.clear();
}

std::vector<std::string> parse_flags(const std::vector<std::string>& args) {
  std::vector<std::string> rest;
  std::string without_effect;
  const auto set = [&](const std::string& name, const FlagValue& value) {
    const std::string what = set_checked(name, value);
    if (!what.empty()) without_effect += (without_effect.empty() ? "" : ", ") + what;
  };
  for (size_t i = 0; i < args.size(); ++i) {
    const std::string& arg = args[i];
    if (arg == "--") {
      rest.insert(rest.end(), args.begin() + i, args.end());
      break;
    }
    const size_t equals = arg.find('=');
    const std::string name =
        arg.rfind("--", 0) == 0 ? arg.substr(2, equals == std::string::npos ? equals : equals - 2) : "";
    const bool negated = !is_name(name) && equals == std::string::npos && name.rfind("no", 0) == 0;
    const std::string meant = negated ? name.substr(2) : name;
    if (!is_name(meant) || (negated && !is_switch(meant))) {
      rest.push_back(arg);
    } else if (equals != std::string::npos) {
      set(name, FlagValue(arg.substr(equals + 1)));
    } else if (is_switch(meant)) {
      set(meant, FlagValue(!negated));
    } else if (i + 1 < args.size()) {
      set(name, FlagValue(args[++i]));
    } else if (const FlagInfo* flag = find(name)) {
      reject(*flag, "");
    } else {
      set(name, FlagValue(std::string()));
    }
  }
  tell_without_effect(without_effect);
  return rest;
}

std::string get_help() {
  std::string help;
  for (const FlagInfo& flag : flag_table())
    help += fmt::format("  --{}={}\n      {}; {}{}\n", flag.name, to_string(flag.default_value), flag.help,
                        flag.values(), flag.offered ? "" : "; this version takes the default only");
  return help;
}

int64_t num_workers() {
  if (get_flag<std::string>("job_name") == "evaluator") return 1;
  const std::vector<std::string> hosts = split_list(get_flag<std::string>("worker_hosts"));
  return std::max<int64_t>(1, static_cast<int64_t>(hosts.size()));
}

bool is_chief() { return num_workers() == 1 || get_flag<int64_t>("task_index") == 0; }

}  // namespace mox
