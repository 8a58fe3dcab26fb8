// Many transfers on a number of threads: large files in parts, small ones one after the other on each thread.
#pragma once

#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <vector>

#include "base/mutex.h"
#include "base/worker_thread.h"
#include "file/progress.h"
#include "file/transfer.h"

namespace mox::file {

struct CopyItem {
  Location src, dst;
  Stat st;                              // of src
  std::function<bool()> is_there = {};  // true: nothing to do for this one. Runs where the transfer would.
  std::function<void()> on_done = {};  // after the transfer, or when it was there; what it throws is the item's failure
  bool keep_time = false;
};

class CopyJob {
 public:
  // threads 0: add() does the work itself.
  CopyJob(int threads, CopyCounters* counters);
  ~CopyJob();
  CopyJob(const CopyJob&) = delete;
  CopyJob& operator=(const CopyJob&) = delete;

  // Waits while many items are waiting already. Returns at once when the job was given up.
  void add(CopyItem item);
  // Notes a failure of something that never became an item.
  void fail(const std::string& path, const std::exception_ptr& error);
  // Waits for all items.
  void finish();
  // Given up: the store or the credentials are wrong, each further file would fail too.
  bool given_up();

  // After finish(): what failed, with the exception of the first.
  std::vector<CopyFailure> failures();
  std::exception_ptr first_error();
  std::exception_ptr fatal_error();

 private:
  struct Active;
  void work();
  void run_item(CopyItem item);
  void run_part(const std::shared_ptr<Active>& active, int index);
  // Makes the file visible; sends it once more when the store lost what it had accepted.
  void finish_transfer(Active& active);
  void end(const std::shared_ptr<Active>& active);
  // A part that a thread may take now; nullptr when there is none.
  std::shared_ptr<Active> next_part(int* index) MOX_REQUIRES(mu_);
  void start_threads() MOX_REQUIRES(mu_);

  const int threads_;
  const int parts_of_one_file_;
  CopyCounters* counters_;
  Mutex mu_;
  CondVar work_, space_;
  std::deque<CopyItem> items_ MOX_GUARDED_BY(mu_);
  std::vector<std::shared_ptr<Active>> active_ MOX_GUARDED_BY(mu_);  // files with parts that wait or run
  int busy_ MOX_GUARDED_BY(mu_) = 0;                                 // threads with an item or part
  bool all_added_ MOX_GUARDED_BY(mu_) = false;
  std::vector<CopyFailure> failures_ MOX_GUARDED_BY(mu_);
  std::exception_ptr first_error_ MOX_GUARDED_BY(mu_);
  std::exception_ptr fatal_error_ MOX_GUARDED_BY(mu_);
  std::vector<WorkerThread> workers_ MOX_GUARDED_BY(mu_);
};

}  // namespace mox::file
