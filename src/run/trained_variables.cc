#include "run/trained_variables.h"

#include <fmt/format.h>

#include <algorithm>

#include "moxing/error.h"
#include "moxing/flags.h"
#include "moxing/log.h"
#include "run/checkpoint_loader.h"
#include "run/near_names.h"

namespace mox {
namespace {

// A scope is "one" or "one/"; a variable's own name is one, too.
bool is_under(const std::string& name, std::string scope) {
  if (name == scope) return true;
  if (scope.empty() || scope.back() != '/') scope += '/';
  return name.rfind(scope, 0) == 0;
}

}  // namespace

std::vector<size_t> trained_variables(const std::vector<std::string>& names, const std::vector<std::string>& scopes,
                                      const std::string& freeze) {
  const auto include = split_patterns(get_flag<std::string>("trainable_include_patterns"));
  auto exclude = split_patterns(get_flag<std::string>("trainable_exclude_patterns"));
  for (std::string& pattern : split_patterns(freeze)) exclude.push_back(std::move(pattern));
  std::vector<size_t> trained;
  for (size_t i = 0; i < names.size(); ++i) {
    const bool in_scopes = scopes.empty() || std::any_of(scopes.begin(), scopes.end(),
                                                         [&](const auto& s) { return is_under(names[i], s); });
    if (in_scopes && matches_patterns(names[i], include, exclude)) trained.push_back(i);
  }
  return trained;
}

void tell_frozen(const std::vector<std::string>& names, const std::string& freeze) {
  for (const char* flag : {"trainable_include_patterns", "trainable_exclude_patterns"})
    if (const std::string hint = unmatched_hint(split_patterns(get_flag<std::string>(flag)), names); !hint.empty())
      log_warning(fmt::format("{}: {}", flag, hint));
  const std::vector<std::string> patterns = split_patterns(freeze);
  if (patterns.empty()) return;
  if (const std::string hint = unmatched_hint(patterns, names); !hint.empty())
    throw InvalidArgumentError("freeze: " + hint);
  std::vector<std::string> frozen;
  for (const std::string& name : names)
    if (matches_patterns(name, patterns, {})) frozen.push_back(name);
  log_info(fmt::format("freeze: {} of {} trainable variables are not trained: {}", frozen.size(), names.size(),
                       shortened_names(frozen)));
}

}  // namespace mox
