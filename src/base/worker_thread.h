// Threads that objects keep: all of them start, stop and fail in one way.
#pragma once

#include <chrono>
#include <functional>
#include <stop_token>
#include <thread>

#include "moxing/export.h"

namespace mox {

// A thread that works for an object until it is told to stop. Make it the object's last member: then it ends before
// what it uses goes. The work waits on a CondVar with the stop token, or by `sleep_unless_stopped`,
// and so wakes when it is to stop. What the work throws is a mistake inside MoXing: a line in the log, and the thread
// ends; the process goes on.
class MOX_EXPORT WorkerThread {
 public:
  using Work = std::function<void(std::stop_token stop)>;

  WorkerThread() = default;  // no thread
  // `name`: at most 15 bytes, for debuggers and `top -H`.
  WorkerThread(const char* name, Work work);
  WorkerThread(WorkerThread&&) = default;
  WorkerThread& operator=(WorkerThread&&) = default;
  // As stop().
  ~WorkerThread() = default;

  // Tells the work to stop and waits until it has; nothing when there is no thread any more.
  void stop();
  // Waits until the work is done, without telling it to stop.
  void join();

 private:
  std::jthread thread_;
};

// Sleeps for `pause`. False, at once, when the thread is to stop.
MOX_EXPORT bool sleep_unless_stopped(const std::stop_token& stop, std::chrono::nanoseconds pause);

}  // namespace mox
