#include "run/export_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <limits>
#include <sstream>
#include <vector>

#include "base/printable.h"
#include "base/url.h"
#include "graph/graph_state.h"
#include "moxing/error.h"
#include "run/checkpoint_state.h"
#include "run/process_identity.h"
#include "tensorflow/core/lib/io/path.h"
#include "tensorflow/core/platform/env.h"

namespace mox {

namespace tf = tensorflow;

namespace {

constexpr std::string_view kTemporary = ".exporting-";
constexpr int64_t kSecondsADay = 24 * 60 * 60;

// A link is removed, not what it leads to.
void remove_folder(const std::string& path) {
  if (!has_scheme(path)) {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
    return;
  }
  int64_t files = 0, folders = 0;
  tf::Env::Default()->DeleteRecursively(path, &files, &folders).IgnoreError();
}

int lock_folder(const std::string& dir, int how) {
  if (has_scheme(dir)) return -1;
  const int fd = open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 || flock(fd, how) == 0) return fd;
  close(fd);
  return -1;
}

// On a store: whether the process that left the mark is known to have ended, or has had a day.
bool is_dead(const std::string& mark) {
  tf::Env* env = tf::Env::Default();
  std::string text;
  tf::FileStatistics stat;
  if (!tf::ReadFileToString(env, mark, &text).ok() || !env->Stat(mark, &stat).ok()) return false;
  ProcessIdentity process;
  std::istringstream(text) >> process.host >> process.pid >> process.space >> process.start;
  return process.is_gone() || stat.mtime_nsec / 1'000'000'000 + kSecondsADay < static_cast<int64_t>(env->NowSeconds());
}

void remove_dead(const std::string& log_dir, bool atomic) {
  tf::Env* env = tf::Env::Default();
  for (const std::string& name : names_found_in(log_dir)) {
    if (name.compare(0, kTemporary.size(), kTemporary) != 0) continue;
    const std::string path = tf::io::JoinPath(log_dir, name);
    if (atomic) {
      remove_folder(path);
      continue;
    }
    const std::string version = name.substr(kTemporary.size());
    if (version.empty() || !is_dead(path)) continue;
    const std::string half = tf::io::JoinPath(log_dir, version);
    if (absl::IsNotFound(env->FileExists(tf::io::JoinPath(half, "saved_model.pb")))) remove_folder(half);
    env->DeleteFile(path).IgnoreError();
  }
}

void check_version(const std::string& version) {
  const auto is_space = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
  const bool is_name = !version.empty() && version[0] != '.' && version.size() <= 200 && !is_space(version.front()) &&
                       !is_space(version.back()) && version.find('/') == std::string::npos &&
                       printable_name(version) == version;
  if (!is_name)
    throw InvalidArgumentError("the version of an exported model is '" + printable_name(version) +
                               "', expected the name of its folder in the export folder: a number such as 3, a name "
                               "without '/' such as v3, or -1 for the next number");
}

}  // namespace

std::string export_dir(const std::string& log_dir, const std::string& version) {
  check_version(version);
  if (version != "-1") return tf::io::JoinPath(log_dir, version);
  int64_t highest = 0;
  for (const std::string& entry : names_found_in(log_dir)) {
    const std::string name = entry.substr(0, entry.find('/'));
    int64_t number = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (end != name.data() + name.size()) continue;
    if (error == std::errc::result_out_of_range) number = std::numeric_limits<int64_t>::max();
    highest = std::max(highest, number);
  }
  if (highest == std::numeric_limits<int64_t>::max())
    throw InvalidArgumentError("the export folder " + log_dir + " holds a version from " + std::to_string(highest) +
                               " up: there is no next number; give the version a name, or use another folder");
  return tf::io::JoinPath(log_dir, std::to_string(highest + 1));
}

void check_export_dir(const std::string& log_dir, const std::string& version) {
  const std::string dir = export_dir(log_dir, version);
  if (version == "-1" || !tf::Env::Default()->FileExists(dir).ok()) return;
  throw InvalidArgumentError(
      "the export folder " + dir +
      " exists already; give ExportSpec another version (-1 takes the next number), or remove it");
}

ExportFolder::ExportFolder(const std::string& log_dir, const std::string& version)
    : log_dir_(log_dir), atomic_(has_atomic_move(log_dir)) {
  tf::Env* env = tf::Env::Default();
  throw_if_error(env->RecursivelyCreateDir(log_dir), "creating " + log_dir);
  lock_ = lock_folder(log_dir, LOCK_EX);
  if (lock_ >= 0 || !atomic_) remove_dead(log_dir, atomic_);
  dir_ = export_dir(log_dir, version);
  check_export_dir(log_dir, version);
  const std::string mark = tf::io::JoinPath(log_dir, std::string(kTemporary) + std::string(tf::io::Basename(dir_)));
  temporary_ = atomic_ ? mark : dir_;
  if (atomic_) {
    remove_folder(temporary_);  // where folders cannot be locked
  } else {
    mark_ = mark;
    throw_if_error(tf::WriteStringToFile(env, mark_, process_identity() + "\n"), "writing " + mark_);
  }
  throw_if_error(env->RecursivelyCreateDir(temporary_), "creating " + temporary_);
}

ExportFolder::~ExportFolder() {
  if (!committed_) remove_folder(temporary_);
  if (!mark_.empty()) tf::Env::Default()->DeleteFile(mark_).IgnoreError();
  if (lock_ >= 0) close(lock_);
}

std::string ExportFolder::commit() {
  if (atomic_)
    throw_if_error(tf::Env::Default()->RenameFile(temporary_, dir_), "renaming " + temporary_ + " to " + dir_);
  committed_ = true;
  return dir_;
}

void remove_dead_exports(const std::string& log_dir) {
  const bool atomic = has_atomic_move(log_dir);
  const int lock = lock_folder(log_dir, LOCK_EX | LOCK_NB);
  if (lock >= 0 || !atomic) remove_dead(log_dir, atomic);
  if (lock >= 0) close(lock);
}

}  // namespace mox
