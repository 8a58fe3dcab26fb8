#include "devices/step_threads.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <utility>

#include "base/blocked_signals.h"
#include "base/environment.h"

namespace mox {

namespace {

// Between two operations of a step lie some microseconds; what takes longer is no step.
constexpr std::chrono::microseconds kSpin{200};
constexpr int kLooksAtClock = 64;  // looks for work between two at the clock

void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Looks until `found` says true, but not longer than kSpin. Whether it did.
template <typename Found>
bool spin(Found found) {
  const auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < kLooksAtClock; ++i) {
      if (found()) return true;
      pause();
    }
  } while (std::chrono::steady_clock::now() < end);
  return found();
}

// One list of tasks serves few threads well.
constexpr int kMost = 8;

}  // namespace

struct StepThreads::Here {
  const StepThreads* of = nullptr;  // the pool that it computes for
  int id = -1;
  Tree* tree = nullptr;  // of the task that it is in
};

StepThreads::Here& StepThreads::here() {
  thread_local Here here;
  return here;
}

bool StepThreads::serve(int threads) {
  return threads >= 2 && threads <= kMost && bool_in_environment("MOX_STEP_THREADS").value_or(true);
}

StepThreads* StepThreads::of_process(int threads) {
  if (!serve(threads)) return nullptr;
  static Mutex* const mutex = new Mutex;
  static auto* const pools = new std::map<int, StepThreads*>;
  const MutexLock lock(*mutex);
  StepThreads*& pool = (*pools)[threads];
  if (!pool) pool = new StepThreads(threads);
  return pool;
}

StepThreads::StepThreads(int threads) : threads_(threads) {
  const BlockedSignals blocked;
  for (int id = 0; id < threads - 1; ++id) workers_.emplace_back([this, id] { work(id); });
  workers_.emplace_back([this] { work_in_last_place(); });
}

StepThreads::~StepThreads() {
  {
    const MutexLock lock(mutex_);
    stopped_ = true;
    wake_.notify_all();
    wake_last_.notify_all();
  }
  for (std::thread& worker : workers_) worker.join();
}

int StepThreads::CurrentThreadId() const { return here().of == this ? here().id : -1; }

void StepThreads::Schedule(std::function<void()> work) {
  push({std::move(work), here().of == this ? here().tree : nullptr});
}

void StepThreads::ScheduleWithHint(std::function<void()> work, int start, int limit) {
  if (start == 0 && limit == 1 && here().of != this && take_last_place()) return run_root(work);
  Schedule(std::move(work));
}

void StepThreads::push(Task task) {
  const bool is_in_tree = task.tree != nullptr;
  if (is_in_tree) task.tree->left.fetch_add(1, std::memory_order_relaxed);
  const MutexLock lock(mutex_);
  tasks_.push_back(std::move(task));
  waiting_.store(static_cast<int>(tasks_.size()));
  if (is_in_tree && callers_asleep_.load() > 0) done_.notify_all();  // who asks for it may wait for it, too
  if (are_all_expected()) return;
  if (sleeping_ > waking_) {
    ++waking_;
    wake_.notify_one();
  } else if (!last_place_.load()) {
    wake_last_.notify_one();
  }
}

bool StepThreads::are_all_expected() const { return static_cast<int>(tasks_.size()) <= spinning_ + waking_; }

StepThreads::Task StepThreads::take(std::deque<Task>::iterator place) {
  Task task = std::move(*place);
  tasks_.erase(place);
  waiting_.store(static_cast<int>(tasks_.size()), std::memory_order_release);
  return task;
}

std::deque<StepThreads::Task>::iterator StepThreads::find_one_of(const Tree* tree) {
  return std::find_if(tasks_.begin(), tasks_.end(), [&](const Task& task) { return task.tree == tree; });
}

bool StepThreads::run_one_of(Tree* tree) {
  if (waiting_.load(std::memory_order_acquire) == 0) return false;
  MutexLock lock(mutex_);
  const auto place = find_one_of(tree);
  if (place == tasks_.end()) return false;
  const Task task = take(place);
  lock.unlock();
  run(task);
  return true;
}

void StepThreads::run(const Task& task) {
  Tree*& tree = here().tree;
  Tree* const before = std::exchange(tree, task.tree);
  task.work();
  tree = before;
  if (!task.tree || task.tree->left.fetch_sub(1) > 1) return;  // from here on the tree may be gone
  if (callers_asleep_.load() == 0) return;
  const MutexLock lock(mutex_);
  done_.notify_all();
}

void StepThreads::run_root(const std::function<void()>& work) {
  Tree tree;
  const Here before = std::exchange(here(), {this, threads_ - 1, &tree});
  work();
  const auto is_done = [&] { return tree.left.load() == 0; };
  while (!is_done())
    if (!run_one_of(&tree) && !spin(is_done)) {
      MutexLock lock(mutex_);
      callers_asleep_.fetch_add(1);
      done_.wait(lock, [&]() MOX_REQUIRES(mutex_) { return is_done() || find_one_of(&tree) != tasks_.end(); });
      callers_asleep_.fetch_sub(1);
    }
  here() = before;
  leave_last_place();
}

bool StepThreads::take_last_place() { return !last_place_.exchange(true, std::memory_order_acquire); }

void StepThreads::leave_last_place() {
  last_place_.store(false);
  if (waiting_.load() == 0) return;
  const MutexLock lock(mutex_);
  if (!are_all_expected()) wake_last_.notify_one();
}

void StepThreads::work(int id) {
  here() = {this, id, nullptr};
  MutexLock lock(mutex_);
  while (!stopped_) {
    if (tasks_.empty()) {
      ++spinning_;
      lock.unlock();
      const bool found = spin([&] { return waiting_.load(std::memory_order_acquire) > 0; });
      lock.lock();
      --spinning_;
      if (found) continue;  // unless another was quicker
      if (stopped_ || !tasks_.empty()) continue;
      ++sleeping_;
      wake_.wait(lock);
      --sleeping_;
      waking_ = std::max(0, waking_ - 1);
      continue;
    }
    run_first(&lock);
  }
}

void StepThreads::work_in_last_place() {
  here() = {this, threads_ - 1, nullptr};
  MutexLock lock(mutex_);
  while (!stopped_) {
    if (are_all_expected() || !take_last_place()) {
      wake_last_.wait(lock);
      continue;
    }
    run_first(&lock);
    last_place_.store(false, std::memory_order_release);
  }
}

void StepThreads::run_first(MutexLock* lock) {
  Task task = take(tasks_.begin());
  lock->unlock();
  run(task);
  task = {};  // what it holds may be much
  lock->lock();
}

}  // namespace mox
