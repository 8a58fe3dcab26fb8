// One training at a time writes to a log_dir on an object store. Stores have no locks, so the holder gives signs of
// life.
#pragma once

#include <optional>
#include <string>

#include "base/worker_thread.h"
#include "moxing/export.h"

namespace mox {

// The object `.mox_lock` in the folder names its holder and is written anew every few seconds. Who finds one watches
// it: a new sign, and the folder is in use; none, or a process of this machine that is gone, and the lock is taken
// over. It tells of mistakes (a job started twice); it is no barrier between machines that the store cannot reach.
class MOX_EXPORT StoreLock {
 public:
  struct Times {  // seconds
    double beat = 10;
    double watch = 35;    // without a sign: the holder is gone
    double settle = 0.3;  // two that write at once see after it whose was the last
  };
  // InvalidArgumentError that names host and process of the holder, or what the store answered.
  StoreLock(const std::string& log_dir, Times times);
  ~StoreLock();
  StoreLock(const StoreLock&) = delete;
  StoreLock& operator=(const StoreLock&) = delete;

 private:
  struct Holder;
  std::optional<Holder> read() const;
  void write();
  void watch(const Holder& holder) const;
  void beat(const std::stop_token& stop);
  [[noreturn]] void refuse(const Holder& holder) const;

  const std::string log_dir_, path_;
  const Times times_;
  const std::string token_;  // this lock's own
  int beats_ = 0;
  bool lost_ = false;  // another one has written its name over ours; read after thread_ has ended
  WorkerThread thread_;
};

}  // namespace mox
