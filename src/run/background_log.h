// Records that are written on a thread of their own: a disk or a store that is slow, or gone, does not hold up the
// training.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/worker_thread.h"

namespace mox {

// What cannot be written is kept (up to 64 MiB) and tried again; a line says when that begins and when it is over, and
// the end says what was lost.
class BackgroundLog {
 public:
  // Stores all records, durably, or throws: then the same ones come again, with those that were added since.
  using Write = std::function<void(const std::vector<std::string>& records)>;

  // `what` is for messages: "summaries in s3://b/run". Writes are at least `pause` apart, but for the last one.
  BackgroundLog(std::string what, std::chrono::milliseconds pause, Write write);
  ~BackgroundLog();  // writes what is left

  void add(std::string record);
  // Wakes the writer; does not wait for it.
  void flush();

 private:
  void work(const std::stop_token& stop);
  void write_out() MOX_REQUIRES(mu_);  // lets go of mu_ while it writes
  void drop_oldest() MOX_REQUIRES(mu_);
  void report_failure(const std::string& reason);

  const std::string what_;
  const std::chrono::milliseconds pause_;
  const Write write_;  // called by the thread only

  Mutex mu_;
  CondVar wake_;
  std::vector<std::string> records_ MOX_GUARDED_BY(mu_);  // not written yet
  size_t bytes_ MOX_GUARDED_BY(mu_) = 0;                  // of records_
  size_t dropped_ MOX_GUARDED_BY(mu_) = 0;
  bool wanted_ MOX_GUARDED_BY(mu_) = false;  // a flush was asked for
  bool failing_ = false;                     // used by the thread only
  std::string last_error_;                   // used by the thread, then by the destructor
  WorkerThread thread_;
};

// Pauses between writes to `dir`: none on a disk, some seconds on a store, where each write sends an object.
std::chrono::milliseconds pause_between_writes(const std::string& dir);

}  // namespace mox
