#include "base/old_flags.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace mox {
namespace {

constexpr std::string_view kSwitches[] = {"chief_inc_global_step", "sync_before_server"};
constexpr std::string_view kOthers[] = {
    "controller_host", "local_parameter_device", "min_size_in_kb",   "num_prefetch_threads",
    "var_dtype",       "var_mix_offset",         "var_space_starter"};

template <typename Names>
bool has(const Names& names, const std::string& name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

bool is_number(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

// Ways to bring gradients together that are chosen by the hosts here; an optimizer's wrapper, dgc, compresses them.
bool is_compressed_update(const std::string& text) {
  return text == "distributed_replicated_dgc" || text == "distributed_replicated_mix";
}

}  // namespace

std::optional<OldFlag> find_old_flag(const std::string& name) {
  if (has(kSwitches, name)) return OldFlag{true};
  if (has(kOthers, name) || name.rfind("dgc_", 0) == 0) return OldFlag{};
  return std::nullopt;
}

std::optional<OldValue> find_old_value(const std::string& name, const FlagValue& value) {
  const std::string text = to_string(value), what = "--" + name + "=" + text;
  if (name == "running_log_level" && is_number(text)) return OldValue{{}, what};
  if (name == "session_timeout" && text == "0") return OldValue{{}, what};
  if (name == "server_protocol" && text.rfind("grpc+", 0) == 0)
    return OldValue{FlagValue(std::string("grpc")), what + " (grpc)"};
  if (name == "variable_update" && is_compressed_update(text))
    return OldValue{FlagValue(std::string("auto")), what + " (auto; get_optimizer_wrapper_fn has dgc)"};
  return std::nullopt;
}

}  // namespace mox
