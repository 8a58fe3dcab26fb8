#include "base/pattern.h"

#include <regex>

#include "moxing/error.h"

namespace mox {

struct Pattern::Compiled {
  std::regex regex;
};

Pattern::Pattern(const std::string& text) {
  try {
    compiled_ = std::make_unique<const Compiled>(Compiled{std::regex(text)});
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

}  // namespace mox
