#include "file/glob.h"

#include <unistd.h>

#include <algorithm>
#include <climits>

#include "file/file_system.h"

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

std::pair<std::string_view, std::string_view> split_first(std::string_view path) {
  const size_t slash = path.find('/');
  if (slash == std::string_view::npos) return {path, {}};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

// A pattern that begins with `**`: one recursive listing, each name against the whole pattern.
void glob_any_depth(const Location& folder, std::string_view pattern, std::vector<std::string>* found) {
  const bool folders_only = pattern.size() > 2 && pattern.back() == '/';
  if (folders_only) pattern.remove_suffix(1);
  file_system(folder).list(folder, /*recursive=*/true, [&](DirEntry& entry) {
    if ((!folders_only || entry.is_dir()) && match_path(pattern, entry.name))
      found->push_back(folders_only ? entry.path + "/" : entry.path);
    return true;
  });
}

void glob_below(const Location& folder, std::string_view pattern, std::vector<std::string>* found) {
  const auto [first, rest] = split_first(pattern);
  if (first == "**") {
    glob_any_depth(folder, pattern, found);
    return;
  }
  const bool folders_only = pattern.size() > first.size();
  if (!has_magic(first)) {
    const Location below = folder.child(first);
    if (rest.empty()) {
      Location wanted = below;
      if (folders_only) (wanted.is_local() ? wanted.path : wanted.key) += '/';
      if (file_system(wanted).stat(wanted)) found->push_back(wanted.str());
    } else {
      glob_below(below, rest, found);
    }
    return;
  }
  std::vector<std::string> folders;
  file_system(folder).list(folder, /*recursive=*/false, [&](DirEntry& entry) {
    if (!match_component(first, entry.name)) return true;
    if (!rest.empty()) {
      if (entry.is_dir()) folders.push_back(entry.name);
    } else if (!folders_only || entry.is_dir()) {
      found->push_back(folders_only ? entry.path + "/" : entry.path);
    }
    return true;
  });
  for (const std::string& name : folders) glob_below(folder.child(name), rest, found);
}

// Where the first component with a pattern begins.
size_t magic_start(const std::string& path) {
  const size_t magic = std::min(path.find_first_of("*?["), path.size());
  const size_t slash = path.rfind('/', magic);
  return slash == std::string::npos ? 0 : slash + 1;
}

std::string absolute(const std::string& path) {
  if (!path.empty() && path[0] == '/') return path;
  char cwd[PATH_MAX];
  if (!::getcwd(cwd, sizeof cwd)) return path;
  return std::string(cwd) == "/" ? "/" + path : std::string(cwd) + "/" + path;
}

}  // namespace

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

bool match_path(std::string_view pattern, std::string_view path) {
  const auto [first, rest] = split_first(pattern);
  const bool last = pattern.size() == first.size();
  if (first == "**") {
    // Never into or onto a name with a leading '.', as with '*'.
    for (std::string_view tail = path;;) {
      if (!last && match_path(rest, tail)) return true;
      if (!tail.empty() && tail[0] == '.') return false;
      const size_t slash = tail.find('/');
      if (slash == std::string_view::npos) return last;
      tail.remove_prefix(slash + 1);
    }
  }
  const auto [name, below] = split_first(path);
  const bool name_last = path.size() == name.size();
  if (!match_component(first, name)) return false;
  if (last || name_last) return last && name_last;
  return match_path(rest, below);
}

std::vector<std::string> glob(const std::string& url) {
  Location location = parse_path(url);
  std::vector<std::string> found;
  if (location.is_local()) location.path = absolute(location.path);
  const std::string full = location.is_local() ? location.path : location.key;
  if (!has_magic(full)) {
    if (file_system(location).stat(location)) found.push_back(location.str());
    return found;
  }
  const size_t start = magic_start(full);
  Location folder = location;
  (folder.is_local() ? folder.path : folder.key) = full.substr(0, start);
  glob_below(folder, std::string_view(full).substr(start), &found);
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

}  // namespace mox::file
