// Matching of patterns; the search for what matches is in glob.cc.
#include <utility>
#include <vector>

#include "file/glob.h"

namespace mox::file {
namespace {

// Steps over one character class at `*at`; true when `c` is in it. An unclosed '[' stands for itself.
bool match_class(std::string_view pattern, size_t* at, unsigned char c) {
  size_t i = *at + 1;
  const bool inverted = i < pattern.size() && (pattern[i] == '!' || pattern[i] == '^');
  if (inverted) ++i;
  size_t end = i < pattern.size() && pattern[i] == ']' ? i + 1 : i;
  end = pattern.find(']', end);
  if (end == std::string_view::npos) {
    ++*at;
    return c == '[';
  }
  bool found = false;
  while (i < end) {
    const auto low = static_cast<unsigned char>(pattern[i]);
    auto high = low;
    if (i + 2 < end && pattern[i + 1] == '-') {
      high = static_cast<unsigned char>(pattern[i + 2]);
      i += 2;
    }
    found = found || (low <= c && c <= high);
    ++i;
  }
  *at = end + 1;
  return found != inverted;
}

// Bytes of the character that starts at `at`: '?' matches a whole UTF-8 character.
size_t character_size(std::string_view text, size_t at) {
  size_t end = at + 1;
  while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) ++end;
  return end - at;
}

std::vector<std::string_view> split_all(std::string_view path) {
  std::vector<std::string_view> parts;
  for (size_t begin = 0;;) {
    const size_t slash = path.find('/', begin);
    parts.push_back(path.substr(begin, slash - begin));
    if (slash == std::string_view::npos) return parts;
    begin = slash + 1;
  }
}

}  // namespace

std::pair<std::string_view, std::string_view> split_first(std::string_view path) {
  const size_t slash = path.find('/');
  if (slash == std::string_view::npos) return {path, {}};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

bool has_magic(std::string_view text) { return text.find_first_of("*?[") != std::string_view::npos; }

bool match_component(std::string_view pattern, std::string_view name) {
  if (!name.empty() && name[0] == '.' && (pattern.empty() || pattern[0] != '.')) return false;
  size_t p = 0, n = 0, star = std::string_view::npos, star_name = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_name = n;
      continue;
    }
    if (p < pattern.size()) {
      size_t next = p;
      size_t taken = 1;
      bool matched;
      if (pattern[p] == '?') {
        taken = character_size(name, n);
        matched = true;
        ++next;
      } else if (pattern[p] == '[') {
        matched = match_class(pattern, &next, static_cast<unsigned char>(name[n]));
      } else {
        matched = pattern[p] == name[n];
        ++next;
      }
      if (matched) {
        p = next;
        n += taken;
        continue;
      }
    }
    if (star == std::string_view::npos) return false;
    p = star + 1;
    n = ++star_name;
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

// matches[j]: the pattern's components from the current one on match the path's from j on. From the last component to
// the first: no pattern takes longer than the product of both counts.
bool match_path(std::string_view pattern, std::string_view path) {
  const auto patterns = split_all(pattern), names = split_all(path);
  const size_t count = names.size();
  std::vector<char> matches(count + 1, false);
  matches[count] = true;
  for (size_t i = patterns.size(); i-- > 0;) {
    const bool last = i + 1 == patterns.size();
    if (patterns[i] == "**") {
      // Never into or onto a name with a leading '.', as with '*'; one name at least is left for what follows.
      for (size_t j = count; j-- > 0;) {
        const bool plain = names[j].empty() || names[j][0] != '.';
        matches[j] = matches[j] || (plain && (j + 1 < count ? matches[j + 1] : last));
      }
    } else {
      for (size_t j = 0; j < count; ++j) matches[j] = matches[j + 1] && match_component(patterns[i], names[j]);
    }
    matches[count] = false;
  }
  return matches[0];
}

}  // namespace mox::file
