#include "run/log_dir_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/host.h"
#include "base/url.h"
#include "moxing/error.h"
#include "moxing/log.h"
#include "run/store_lock.h"

namespace mox {

LogDirLock::LogDirLock(const std::string& log_dir) {
  if (log_dir.empty()) return;
  if (has_scheme(log_dir)) {
    in_store_ = std::make_unique<StoreLock>(log_dir, StoreLock::Times{});
    return;
  }
  path_ = log_dir + "/.mox_lock";
  // Again when the holder removed the file between opening and locking it.
  for (bool locked = false; !locked;) {
    fd_ = open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd_ < 0) throw InvalidArgumentError("log_dir '" + log_dir + "' cannot be locked: " + std::strerror(errno));
    if (flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) refuse(log_dir);
      log_warning(fmt::format("log_dir '{}' cannot be locked ({}): take care that no other training writes to it",
                              log_dir, std::strerror(errno)));
      close(fd_);
      fd_ = -1;
      return;
    }
    struct stat opened, named;
    locked = fstat(fd_, &opened) == 0 && stat(path_.c_str(), &named) == 0 && opened.st_ino == named.st_ino;
    if (!locked) close(fd_);
  }
  const std::string holder = fmt::format("{} {}\n", host_name(), getpid());
  if (ftruncate(fd_, 0) != 0 || write(fd_, holder.data(), holder.size()) != static_cast<ssize_t>(holder.size()))
    log_warning("cannot write " + path_ + ": " + std::strerror(errno));
}

LogDirLock::~LogDirLock() {
  if (fd_ < 0) return;
  unlink(path_.c_str());
  flock(fd_, LOCK_UN);  // children that were forked meanwhile share the lock
  close(fd_);
}

void LogDirLock::refuse(const std::string& log_dir) const {
  char text[300] = "";
  const ssize_t size = pread(fd_, text, sizeof text - 1, 0);
  close(fd_);
  std::string host(text, size > 0 ? size : 0), process = "?";
  if (const size_t space = host.find(' '); space != std::string::npos) {
    process = host.substr(space + 1, host.find('\n') - space - 1);
    host.resize(space);
  }
  throw InvalidArgumentError(fmt::format(
      "log_dir '{}' is in use: process {} on host {} trains there. Wait for it, end it, or give another log_dir",
      log_dir, process, host.empty() ? "?" : host));
}

}  // namespace mox
