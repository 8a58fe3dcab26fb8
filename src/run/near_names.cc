#include "run/near_names.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <numeric>
#include <utility>

#include "base/pattern.h"

namespace mox {
namespace {

constexpr size_t kNearest = 3;

// Letters, digits and what joins them, in small letters: a regular expression without what makes it one.
std::string core_of(const std::string& text) {
  std::string core;
  for (const char c : text)
    if (std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '/')
      core += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return core;
}

// Letters to insert, remove or replace (Levenshtein 1966).
size_t distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t corner = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j)
      corner = std::exchange(row[j + 1], std::min({row[j] + 1, row[j + 1] + 1, corner + (a[i] != b[j])}));
  }
  return row[b.size()];
}

// The names' scopes and their own last parts, each once: what somebody may have meant to write.
std::vector<std::string> parts_of(const std::vector<std::string>& names) {
  std::vector<std::string> parts;
  for (const std::string& name : names) {
    for (size_t slash = name.find('/'); slash != std::string::npos; slash = name.find('/', slash + 1))
      parts.push_back(name.substr(0, slash));
    parts.push_back(name);
  }
  std::sort(parts.begin(), parts.end());
  parts.erase(std::unique(parts.begin(), parts.end()), parts.end());
  return parts;
}

std::vector<std::string> nearest(const std::string& pattern, const std::vector<std::string>& names) {
  const std::string core = core_of(pattern);
  std::vector<std::pair<size_t, std::string>> ranked;
  for (const std::string& part : parts_of(names)) {
    const std::string small = core_of(part);
    const size_t slash = small.rfind('/');
    const size_t last = slash == std::string::npos ? distance(core, small) : distance(core, small.substr(slash + 1));
    ranked.emplace_back(std::min(distance(core, small), last), part);
  }
  const size_t count = std::min(kNearest, ranked.size());
  std::partial_sort(ranked.begin(), ranked.begin() + static_cast<std::ptrdiff_t>(count), ranked.end());
  std::vector<std::string> found;
  for (size_t i = 0; i < count; ++i) found.push_back(ranked[i].second);
  return found;
}

}  // namespace

std::string unmatched_hint(const std::vector<std::string>& patterns, const std::vector<std::string>& names) {
  for (const std::string& text : patterns) {
    const Pattern pattern(text, true);
    if (std::any_of(names.begin(), names.end(), [&](const std::string& name) { return pattern.found_in(name); }))
      continue;
    return fmt::format("'{}' matches none of the {} variables; near are {}", text, names.size(),
                       fmt::join(nearest(text, names), ", "));
  }
  return "";
}

std::string shortened_names(const std::vector<std::string>& names) {
  constexpr size_t kShown = 5;
  if (names.size() <= kShown) return fmt::format("{}", fmt::join(names, ", "));
  return fmt::format("{} and {} more", fmt::join(names.begin(), names.begin() + kShown, ", "), names.size() - kShown);
}

}  // namespace mox
