#include "file/worker_pool.h"

#include <unistd.h>

#include <deque>
#include <thread>

#include "base/mutex.h"

namespace mox::file {
namespace {

constexpr int kMostWorkers = 32;

class WorkerPool {
 public:
  std::future<void> add(std::function<void()> task) {
    std::packaged_task<void()> packaged(std::move(task));
    std::future<void> future = packaged.get_future();
    MutexLock lock(mu_);
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
    MutexLock lock(mu_);
    for (;;) {
      ++idle_;
      wake_.wait(lock, [this]() MOX_REQUIRES(mu_) { return !queue_.empty(); });
      --idle_;
      std::packaged_task<void()> task = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      task();
      task = {};  // what it holds is freed outside the lock
      lock.lock();
    }
  }

  Mutex mu_;
  CondVar wake_;
  std::deque<std::packaged_task<void()>> queue_ MOX_GUARDED_BY(mu_);
  int idle_ MOX_GUARDED_BY(mu_) = 0;
  int workers_ MOX_GUARDED_BY(mu_) = 0;
};

// A child process has no threads of its parent's pool: it gets a pool of its own.
WorkerPool& pool() {
  static Mutex mu;
  static WorkerPool* instance MOX_GUARDED_BY(mu) = nullptr;
  static pid_t owner MOX_GUARDED_BY(mu) = 0;
  MutexLock lock(mu);
  if (!instance || owner != ::getpid()) {
    instance = new WorkerPool;  // never destroyed: its threads wait until the process ends
    owner = ::getpid();
  }
  return *instance;
}

}  // namespace

std::future<void> run_in_background(std::function<void()> task) { return pool().add(std::move(task)); }

}  // namespace mox::file
