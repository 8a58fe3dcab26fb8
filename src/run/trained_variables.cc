#include "run/trained_variables.h"

#include <algorithm>

#include "moxing/flags.h"
#include "run/checkpoint_loader.h"

namespace mox {
namespace {

// A scope is "one" or "one/"; a variable's own name is one, too.
bool is_under(const std::string& name, std::string scope) {
  if (name == scope) return true;
  if (scope.empty() || scope.back() != '/') scope += '/';
  return name.rfind(scope, 0) == 0;
}

}  // namespace

std::vector<size_t> trained_variables(const std::vector<std::string>& names, const std::vector<std::string>& scopes) {
  const auto include = split_patterns(get_flag<std::string>("trainable_include_patterns"));
  const auto exclude = split_patterns(get_flag<std::string>("trainable_exclude_patterns"));
  std::vector<size_t> trained;
  for (size_t i = 0; i < names.size(); ++i) {
    const bool in_scopes = scopes.empty() || std::any_of(scopes.begin(), scopes.end(),
                                                         [&](const auto& s) { return is_under(names[i], s); });
    if (in_scopes && matches_patterns(names[i], include, exclude)) trained.push_back(i);
  }
  return trained;
}

}  // namespace mox
