#include "file/worker_pool.h"

#include <unistd.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace mox::file {
namespace {

constexpr int kMostWorkers = 32;

class WorkerPool {
 public:
  std::future<void> add(std::function<void()> task) {
    std::packaged_task<void()> packaged(std::move(task));
    std::future<void> future = packaged.get_future();
    std::lock_guard lock(mu_);
    queue_.push_back(std::move(packaged));
    if (idle_ < static_cast<int>(queue_.size()) && workers_ < kMostWorkers) {
      ++workers_;
      std::thread([this] { work(); }).detach();
    }
    wake_.notify_one();
    return future;
  }

 private:
  void work() {
    std::unique_lock lock(mu_);
    for (;;) {
      ++idle_;
      wake_.wait(lock, [this] { return !queue_.empty(); });
      --idle_;
      std::packaged_task<void()> task = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      task();
      task = {};  // what it holds is freed outside the lock
      lock.lock();
    }
  }

  std::mutex mu_;
  std::condition_variable wake_;
  std::deque<std::packaged_task<void()>> queue_;  // guarded by mu_
  int idle_ = 0;                                  // guarded by mu_
  int workers_ = 0;                               // guarded by mu_
};

// A child process has no threads of its parent's pool: it gets a pool of its own.
WorkerPool& pool() {
  static std::mutex mu;
  static WorkerPool* instance = nullptr;
  static pid_t owner = 0;
  std::lock_guard lock(mu);
  if (!instance || owner != ::getpid()) {
    instance = new WorkerPool;  // never destroyed: its threads wait until the process ends
    owner = ::getpid();
  }
  return *instance;
}

}  // namespace

std::future<void> run_in_background(std::function<void()> task) { return pool().add(std::move(task)); }

}  // namespace mox::file
