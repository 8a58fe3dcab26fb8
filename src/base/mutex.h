// The standard library's mutex and condition variable, with the attributes that clang's thread safety analysis needs.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stop_token>

#include "base/thread_annotations.h"

namespace mox {

class MOX_CAPABILITY("mutex") Mutex {
 public:
  void lock() MOX_ACQUIRE() { mutex_.lock(); }
  void unlock() MOX_RELEASE() { mutex_.unlock(); }

 private:
  friend class MutexLock;
  std::mutex mutex_;
};

// Holds the mutex while it lives, but between unlock() and lock().
class MOX_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) MOX_ACQUIRE(mutex) : lock_(mutex.mutex_) {}
  ~MutexLock() MOX_RELEASE() {}
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

  void lock() MOX_ACQUIRE() { lock_.lock(); }
  void unlock() MOX_RELEASE() { lock_.unlock(); }

 private:
  friend class CondVar;
  std::unique_lock<std::mutex> lock_;
};

// The lock is held when a wait begins and ends. A condition that reads what the mutex guards says so:
//   wake_.wait(lock, [this]() MOX_REQUIRES(mu_) { return stopped_; });
class CondVar {
 public:
  void wait(MutexLock& lock) { condition_.wait(lock.lock_); }

  template <typename Condition>
  void wait(MutexLock& lock, Condition condition) {
    condition_.wait(lock.lock_, condition);
  }

  // Whether the condition held before the time was over.
  template <typename Rep, typename Period, typename Condition>
  bool wait_for(MutexLock& lock, const std::chrono::duration<Rep, Period>& time, Condition condition) {
    return condition_.wait_for(lock.lock_, time, condition);
  }

  // The same for a WorkerThread; they end, too, when it is to stop. Whether the condition held.
  template <typename Condition>
  bool wait(MutexLock& lock, const std::stop_token& stop, Condition condition) {
    return condition_.wait(lock.lock_, stop, condition);
  }
  template <typename Rep, typename Period, typename Condition>
  bool wait_for(MutexLock& lock, const std::stop_token& stop, const std::chrono::duration<Rep, Period>& time,
                Condition condition) {
    return condition_.wait_for(lock.lock_, stop, time, condition);
  }

  void notify_one() { condition_.notify_one(); }
  void notify_all() { condition_.notify_all(); }

 private:
  std::condition_variable_any condition_;
};

}  // namespace mox
