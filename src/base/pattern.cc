#include "base/pattern.h"

#include <algorithm>
#include <regex>

#include "moxing/error.h"

namespace mox {

struct Pattern::Compiled {
  std::regex regex;
};

Pattern::Pattern(const std::string& text, bool ignores_case) {
  try {
    auto syntax = std::regex::ECMAScript;
    if (ignores_case) syntax |= std::regex::icase;
    compiled_ = std::make_unique<const Compiled>(Compiled{std::regex(text, syntax)});
  } catch (const std::regex_error& e) {
    throw InvalidArgumentError("'" + text + "' is not a regular expression: " + e.what());
  }
}

Pattern::~Pattern() = default;
Pattern::Pattern(Pattern&&) noexcept = default;
Pattern& Pattern::operator=(Pattern&&) noexcept = default;

bool Pattern::found_in(const std::string& text) const { return std::regex_search(text, compiled_->regex); }

std::vector<std::vector<std::string>> Pattern::matches(const std::string& text) const {
  std::vector<std::vector<std::string>> all;
  for (std::sregex_iterator it(text.begin(), text.end(), compiled_->regex), end; it != end; ++it)
    all.emplace_back(it->begin(), it->end());
  return all;
}

std::vector<std::string> split_list(const std::string& comma_separated) {
  constexpr const char* kBlanks = " \t\r\n";
  std::vector<std::string> entries;
  for (size_t start = 0; start <= comma_separated.size();) {
    const size_t comma = std::min(comma_separated.find(',', start), comma_separated.size());
    const std::string entry = comma_separated.substr(start, comma - start);
    const size_t first = entry.find_first_not_of(kBlanks);
    if (first != std::string::npos) entries.push_back(entry.substr(first, entry.find_last_not_of(kBlanks) + 1 - first));
    start = comma + 1;
  }
  return entries;
}

}  // namespace mox
