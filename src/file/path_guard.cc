#include "file/path_guard.h"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <sstream>
#include <vector>

#include "base/text.h"
#include "file/local_file_system.h"
#include "moxing/error.h"

namespace mox::file {
namespace {

std::optional<std::string> real_path(const std::string& path) {
  char resolved[PATH_MAX];
  if (!::realpath(path.c_str(), resolved)) return std::nullopt;
  return std::string(resolved);
}

std::string current_folder() {
  char cwd[PATH_MAX];
  return ::getcwd(cwd, sizeof cwd) ? cwd : "/";
}

// Without looking at the disk: absolute, '.' and '..' and double slashes taken out.
std::string normalized(const std::string& path) {
  const std::string full = !path.empty() && path[0] == '/' ? path : current_folder() + "/" + path;
  std::vector<std::string> parts;
  std::istringstream in(full);
  for (std::string part; std::getline(in, part, '/');) {
    if (part.empty() || part == ".") continue;
    if (part != "..")
      parts.push_back(part);
    else if (!parts.empty())
      parts.pop_back();
  }
  std::string result;
  for (const std::string& part : parts) result += "/" + part;
  return result.empty() ? "/" : result;
}

bool is_at_or_below(const std::string& path, const std::string& folder) {
  if (folder == "/") return true;
  return path.compare(0, folder.size(), folder) == 0 && (path.size() == folder.size() || path[folder.size()] == '/');
}

std::string home_folder() {
  if (const char* home = std::getenv("HOME"); home && *home) return home;
  passwd entry;
  passwd* found = nullptr;
  char buffer[4096];
  if (::getpwuid_r(::getuid(), &entry, buffer, sizeof buffer, &found) != 0 || !found || !found->pw_dir) return "";
  return found->pw_dir;
}

// A mount point as /proc writes it: blanks and their like as \040.
std::string unescaped(const std::string& text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      result += static_cast<char>(std::strtol(text.substr(i + 1, 3).c_str(), nullptr, 8));
      i += 3;
    } else {
      result += text[i];
    }
  }
  return result;
}

// The first mount point at `folder` or below; "" when there is none.
std::string mount_at_or_below(const std::string& folder) {
  std::ifstream mounts("/proc/self/mountinfo");
  if (!mounts) {  // no /proc: a mount's root is on another device than its parent
    struct ::stat here, parent;
    const bool known = ::stat(folder.c_str(), &here) == 0 && ::stat((folder + "/..").c_str(), &parent) == 0;
    return known && here.st_dev != parent.st_dev ? folder : "";
  }
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::string skipped, point;
    fields >> skipped >> skipped >> skipped >> skipped >> point;
    point = unescaped(point);
    if (is_at_or_below(point, folder)) return point;
  }
  return "";
}

std::string last_component(const std::string& path) {
  std::string text = path;
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return mox::base_name(text);
}

}  // namespace

std::string resolved_path(const std::string& path) {
  if (const auto real = real_path(path)) return *real;
  std::string folder = normalized(path), rest;
  for (;;) {
    const size_t slash = folder.rfind('/');
    rest = folder.substr(slash) + rest;
    folder = slash == 0 ? "/" : folder.substr(0, slash);
    if (const auto real = real_path(folder)) return (*real == "/" ? "" : *real) + rest;
    if (slash == 0) return rest;
  }
}

std::string why_protected(const std::string& path, bool through_link) {
  const std::string last = last_component(path);
  if (last == "." || last == "..") return "this is the current folder or the one above it; name the folder itself";
  const std::string home = home_folder();
  constexpr char kHome[] = "this is the home folder, or holds it";
  if (!home.empty() && normalized(path) == normalized(home)) return kHome;
  if (!through_link && is_link(Location{"", "", "", path}.as_file().path)) return "";
  const auto real = real_path(path);
  if (!real) return "";  // nothing is there
  if (*real == "/") return "this is the root of the file system";
  if (!home.empty() && is_at_or_below(resolved_path(home), *real)) return kHome;
  if (is_at_or_below(current_folder(), *real)) return "this is the current folder, or holds it";
  const std::string mount = mount_at_or_below(*real);
  if (mount == *real) return "a file system is mounted here; name what is in it";
  if (!mount.empty()) return "it holds the mounted file system '" + mount + "'; name what is in it";
  return "";
}

void refuse_protected(const char* operation, const Location& what, bool whole_bucket, bool through_link) {
  std::string reason;
  if (what.is_local()) {
    reason = why_protected(what.path, through_link);
  } else if (what.is_bucket() && !whole_bucket) {
    reason = "this names a whole bucket; name what is in it, or say that the bucket is meant (--bucket, bucket=True)";
  }
  if (reason.empty()) return;
  throw InvalidArgumentError(std::string(operation) + " '" + what.str() + "': refused, nothing was touched: " + reason);
}

bool is_same_place(const Location& a, const Location& b) {
  if (!is_same_storage(a, b)) return false;
  if (!a.is_local()) return a.bucket == b.bucket && a.as_file().key == b.as_file().key;
  struct ::stat of_a, of_b;
  return ::stat(a.path.c_str(), &of_a) == 0 && ::stat(b.path.c_str(), &of_b) == 0 && of_a.st_dev == of_b.st_dev &&
         of_a.st_ino == of_b.st_ino;
}

bool lies_inside(const Location& inner, const Location& outer) {
  if (!is_same_storage(inner, outer)) return false;
  if (inner.is_local()) return is_at_or_below(resolved_path(inner.path), resolved_path(outer.path));
  const std::string below = inner.folder_prefix(), above = outer.folder_prefix();
  return inner.bucket == outer.bucket && below.compare(0, above.size(), above) == 0;
}

}  // namespace mox::file
