// What a long copy shows while it runs: a line that is rewritten on a terminal, a line every ten seconds elsewhere.
#pragma once

#include <atomic>
#include <chrono>
#include <string>

#include "base/worker_thread.h"
#include "file/transfer.h"

namespace mox::file {

class Progress {
 public:
  // Quiet: shows nothing. MOX_SILENT_MODE is quiet always.
  Progress(const CopyCounters& counters, std::string title, bool quiet);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Files and bytes to do, as far as they are known by now; final when all sources were listed.
  void add_total(int64_t files, int64_t bytes);
  void total_is_final() { final_ = true; }
  void stop();

 private:
  void run(const std::stop_token& stop);
  std::string line() const;

  const CopyCounters& counters_;
  std::string title_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  std::atomic<int64_t> total_files_{0}, total_bytes_{0};
  std::atomic<bool> final_{false};
  bool terminal_ = false;
  bool drawn_ = false;  // used by the thread, then by stop()
  WorkerThread thread_;
};

// "3.5 MiB"
std::string human_bytes(int64_t bytes);

}  // namespace mox::file
