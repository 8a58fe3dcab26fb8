// One training writes to a log_dir at a time.
#pragma once

#include <memory>
#include <string>

#include "moxing/export.h"

namespace mox {

class StoreLock;

// Holds the folder's lock while it lives. The lock is the kernel's, so that a process that died leaves none; the file
// `.mox_lock` in the folder tells others who holds it. For a folder on an object store: StoreLock.
class MOX_EXPORT LogDirLock {
 public:
  // InvalidArgumentError that names host and process of the holder. A file system without locks: a warning.
  explicit LogDirLock(const std::string& log_dir);
  ~LogDirLock();
  LogDirLock(const LogDirLock&) = delete;
  LogDirLock& operator=(const LogDirLock&) = delete;

 private:
  [[noreturn]] void refuse(const std::string& log_dir) const;

  std::string path_;
  int fd_ = -1;
  std::unique_ptr<StoreLock> in_store_;
};

}  // namespace mox
