#include "file/glob.h"

#include <unistd.h>

#include <algorithm>
#include <climits>

#include "file/file_system.h"

namespace mox::file {
namespace {

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

// A folder such as "run[1]" or "a*b": its name as a pattern would find siblings ("run1", "axb").
bool is_plain_folder(const Location& folder, std::string_view name) {
  Location wanted = folder.child(name);
  (wanted.is_local() ? wanted.path : wanted.key) += '/';
  const auto there = file_system(wanted).stat(wanted);
  return there && there->is_directory;
}

void glob_below(const Location& folder, std::string_view pattern, std::vector<std::string>* found) {
  const auto [first, rest] = split_first(pattern);
  if (first == "**") {
    glob_any_depth(folder, pattern, found);
    return;
  }
  const bool folders_only = pattern.size() > first.size();
  if (!has_magic(first) || (!rest.empty() && is_plain_folder(folder, first))) {
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

std::vector<std::string> glob_from(const Location& folder, const std::string& pattern) {
  std::vector<std::string> found;
  if (!has_magic(pattern)) {
    const Location wanted = pattern.empty() ? folder : folder.child(pattern);
    if (file_system(wanted).stat(wanted)) found.push_back(wanted.str());
    return found;
  }
  const size_t start = magic_start(pattern);
  const Location plain = start == 0 ? folder : folder.child(pattern.substr(0, start));
  glob_below(plain, std::string_view(pattern).substr(start), &found);
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

}  // namespace

std::vector<std::string> glob(const std::string& url) {
  Location location = parse_path(url);
  if (!location.is_local()) {
    const std::string pattern = std::move(location.key);
    location.key.clear();
    return glob_from(location, pattern);
  }
  if (location.path[0] == '/') return glob_from({"", "", "", "/"}, location.path.substr(1));
  return glob_from({"", "", "", absolute("")}, location.path);  // the current folder is no pattern either
}

std::vector<std::string> glob(const std::string& folder, const std::string& pattern) {
  Location location = parse_path(folder);
  if (location.is_local()) location.path = absolute(location.path);
  return glob_from(location, pattern);
}

}  // namespace mox::file
