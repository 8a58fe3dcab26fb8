#include "moxing/flags.h"

#include <fmt/format.h>

#include <charconv>
#include <map>
#include <mutex>

#include "base/tf_config.h"
#include "moxing/error.h"

namespace mox {
namespace {

constexpr int64_t kMaxInt = 1'000'000;

// The table: a flag is a line here. Order is that of `mox flags`.
const std::vector<FlagInfo>& table() {
  static const std::vector<FlagInfo>* flags = new std::vector<FlagInfo>{
      {"num_gpus", int64_t{1}, "an integer from 1",
       "devices that this process trains on (CPU devices where there is no GPU)"},
      {"job_name", std::string("worker"), "'ps' or 'worker'", "what this process is in a cluster"},
      {"task_index", int64_t{0}, "an integer from 0", "this process's place in its job's list of hosts"},
      {"ps_hosts", std::string(), "host:port,host:port,…", "parameter servers, comma-separated"},
      {"worker_hosts", std::string(), "host:port,host:port,…", "workers, comma-separated"},
      {"sync_replicas", true, "true or false", "workers wait for each other in every step"},
      {"variable_update", std::string("auto"),
       "auto, parameter_server, replicated, replicated_host, distributed_replicated or collective_all_reduce",
       "where variables live and how gradients are joined"},
      {"checkpoint_include_patterns", std::string(), "regular expressions, comma-separated",
       "of checkpoint_path, load only variables that match one"},
      {"checkpoint_exclude_patterns", std::string(), "regular expressions, comma-separated",
       "of checkpoint_path, load no variable that matches one"},
      {"trainable_include_patterns", std::string(), "regular expressions, comma-separated",
       "train only variables that match one"},
      {"trainable_exclude_patterns", std::string(), "regular expressions, comma-separated",
       "train no variable that matches one"},
      {"loss_scale", 1.0, "a number above 0, or dynamic",
       "the loss is multiplied by it and gradients are divided (1 = off)"},
      {"loss_scale_growth_steps", int64_t{2000}, "an integer from 1",
       "with loss_scale=dynamic: good steps after which the scale doubles"},
      {"use_fp16", false, "true or false", "convolutions and matrix products in 16 bits, variables in 32"},
      {"gradient_clip", 0.0, "a number from 0", "largest gradient (0 = off)"},
      {"gradient_clip_type", std::string("norm"), "norm, global_norm or value", "what gradient_clip limits"},
      {"log_first_clone", true, "true or false", "log_info of the first device only; false: the mean over devices"},
      {"clone_on_cpu", false, "true or false", "train on CPU devices even where there are GPUs"},
      {"num_inter_threads", int64_t{0}, "an integer from 0", "operations that run at once (0 = the number of cores)"},
      {"num_intra_threads", int64_t{0}, "an integer from 0", "threads of one operation (0 = the number of cores)"},
      {"server_protocol", std::string("grpc"), "grpc", "protocol between the processes of a cluster"},
      {"session_timeout", int64_t{7200}, "seconds from 1", "how long workers wait for each other before the run stops"},
      {"stall_report_secs", 30.0, "seconds from 0",
       "a line as often as a step has waited that long for its input (0 = none)"},
      {"running_log_level", std::string("info"), "debug, info, warning, error or off", "least level of log lines"},
  };
  return *flags;
}

struct Store {
  std::mutex mu;
  std::map<std::string, FlagValue> values;  // what differs from the default
};

Store& store() {
  static Store* s = new Store;
  return *s;
}

const FlagInfo* find(const std::string& name) {
  for (const FlagInfo& flag : table())
    if (name == flag.name) return &flag;
  return nullptr;
}

const FlagInfo& known(const std::string& name) {
  if (const FlagInfo* flag = find(name)) return *flag;
  std::string names;
  for (const FlagInfo& flag : table()) names += (names.empty() ? "" : ", ") + std::string(flag.name);
  throw InvalidArgumentError("there is no flag '" + name + "'; there are: " + names);
}

[[noreturn]] void reject(const FlagInfo& flag, const std::string& got) {
  throw InvalidArgumentError(fmt::format("flag --{}: got '{}', expected {}", flag.name, got, flag.values));
}

bool parse_number(const std::string& text, double* value) {
  try {
    size_t used = 0;
    *value = std::stod(text, &used);
    return used == text.size();
  } catch (const std::exception&) {
    return false;
  }
}

FlagValue parse(const FlagInfo& flag, const std::string& text) {
  if (std::holds_alternative<std::string>(flag.default_value)) return text;
  if (std::holds_alternative<bool>(flag.default_value)) {
    if (text == "true" || text == "True" || text == "1") return true;
    if (text == "false" || text == "False" || text == "0") return false;
    reject(flag, text);
  }
  if (std::holds_alternative<int64_t>(flag.default_value)) {
    int64_t value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) reject(flag, text);
    return value;
  }
  if (text == "dynamic" && std::string(flag.name) == "loss_scale") return text;
  double value = 0;
  if (!parse_number(text, &value)) reject(flag, text);
  return value;
}

bool one_of(const std::string& value, std::initializer_list<const char*> words) {
  for (const char* word : words)
    if (value == word) return true;
  return false;
}

bool in_range(const FlagInfo& flag, const FlagValue& value) {
  const std::string name = flag.name;
  if (const auto* i = std::get_if<int64_t>(&value)) {
    const int64_t low = name == "num_gpus" || name == "session_timeout" || name == "loss_scale_growth_steps" ? 1 : 0;
    return *i >= low && *i <= kMaxInt;
  }
  if (const auto* d = std::get_if<double>(&value)) return name == "loss_scale" ? *d > 0 : *d >= 0;
  if (const auto* s = std::get_if<std::string>(&value)) {
    if (name == "job_name") return one_of(*s, {"ps", "worker"});
    if (name == "server_protocol") return *s == "grpc";
    if (name == "gradient_clip_type") return one_of(*s, {"norm", "global_norm", "value"});
    if (name == "running_log_level") return one_of(*s, {"debug", "info", "warning", "error", "off"});
    if (name == "variable_update")
      return one_of(*s, {"auto", "parameter_server", "replicated", "replicated_host", "distributed_replicated",
                         "collective_all_reduce"});
  }
  return true;
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
  if (!in_range(flag, result)) reject(flag, to_string(result));
  return result;
}

}  // namespace

std::string to_string(const FlagValue& value) {
  if (const auto* b = std::get_if<bool>(&value)) return *b ? "true" : "false";
  if (const auto* i = std::get_if<int64_t>(&value)) return std::to_string(*i);
  if (const auto* d = std::get_if<double>(&value)) return fmt::format("{}", *d);
  return std::get<std::string>(value);
}

const std::vector<FlagInfo>& all_flags() { return table(); }

FlagValue get_flag(const std::string& name) {
  const FlagInfo& flag = known(name);
  {
    std::lock_guard lock(store().mu);
    if (const auto found = store().values.find(name); found != store().values.end()) return found->second;
  }
  const std::optional<FlagValue> from_cluster = value_in_tf_config(name);
  return from_cluster ? fitted(flag, *from_cluster) : flag.default_value;
}

void set_flag(const std::string& name, const FlagValue& value) {
  FlagValue checked = fitted(known(name), value);
  std::lock_guard lock(store().mu);
  store().values[name] = std::move(checked);
}

void reset_flags() {
  std::lock_guard lock(store().mu);
  store().values.clear();
}

std::vector<std::string> parse_flags(const std::vector<std::string>& args) {
  std::vector<std::string> rest;
  for (size_t i = 0; i < args.size(); ++i) {
    const std::string& arg = args[i];
    if (arg == "--") {
      rest.insert(rest.end(), args.begin() + i, args.end());
      break;
    }
    const size_t equals = arg.find('=');
    const std::string name =
        arg.rfind("--", 0) == 0 ? arg.substr(2, equals == std::string::npos ? equals : equals - 2) : "";
    const FlagInfo* flag = find(name);
    const bool negated = !flag && equals == std::string::npos && name.rfind("no", 0) == 0;
    if (negated) flag = find(name.substr(2));
    if (!flag || (negated && !std::holds_alternative<bool>(flag->default_value))) {
      rest.push_back(arg);
    } else if (equals != std::string::npos) {
      set_flag(name, FlagValue(arg.substr(equals + 1)));
    } else if (std::holds_alternative<bool>(flag->default_value)) {
      set_flag(flag->name, FlagValue(!negated));
    } else if (i + 1 < args.size()) {
      set_flag(name, FlagValue(args[++i]));
    } else {
      reject(*flag, "");
    }
  }
  return rest;
}

std::string get_help() {
  std::string help;
  for (const FlagInfo& flag : table())
    help += fmt::format("  --{}={}\n      {}; {}\n", flag.name, to_string(flag.default_value), flag.help, flag.values);
  return help;
}

}  // namespace mox
