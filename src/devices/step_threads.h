// The threads that compute inside an operation of a step. A convolution of one image takes a tenth of a millisecond,
// and TensorFlow's pool pays three wake-ups for it: the thread that runs the operation gives all parts away and sleeps,
// two others wake up, and it wakes up again when they are done. Here it computes a part itself, and whoever waits looks
// for the others' end for a while before it sleeps.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "moxing/export.h"
#include "tensorflow/core/lib/core/threadpool_interface.h"

namespace mox {

// As many threads compute at once as NumThreads() says: all but one are the pool's own, the last is that which runs an
// operation, or, while there is none, one more of the pool's.
class MOX_EXPORT StepThreads : public tensorflow::thread::ThreadPoolInterface {
 public:
  // Whether there is a pool of so many threads: not of one, nor of more than were ever measured, nor with
  // MOX_STEP_THREADS=0.
  static bool serve(int threads);
  // The process's pool of so many threads; it stays as long as the process, as TensorFlow's own does. nullptr, so that
  // TensorFlow's own computes, where there is none.
  static StepThreads* of_process(int threads);

  // At least 2.
  explicit StepThreads(int threads);
  ~StepThreads() override;

  void Schedule(std::function<void()> work) override;
  // The root of a tree of tasks, as TensorFlow and oneDNN begin what they wait for right after (start 0, limit 1),
  // runs here and now, and this returns when the whole tree is done. Other hints say nothing.
  void ScheduleWithHint(std::function<void()> work, int start, int limit) override;
  int NumThreads() const override { return threads_; }
  int CurrentThreadId() const override;

 private:
  // A root that runs in the thread that asked for it, with all that is scheduled inside.
  struct Tree {
    std::atomic<int> left{0};  // tasks that are not done
  };
  struct Task {
    std::function<void()> work;
    Tree* tree = nullptr;
  };
  struct Here;  // of this thread

  static Here& here();
  void push(Task task);
  // Whether somebody is about to take each task.
  bool are_all_expected() const MOX_REQUIRES(mutex_);
  Task take(std::deque<Task>::iterator place) MOX_REQUIRES(mutex_);
  void run(const Task& task);
  void run_root(const std::function<void()>& work);
  std::deque<Task>::iterator find_one_of(const Tree* tree) MOX_REQUIRES(mutex_);
  // Whether one was left that nobody had begun.
  bool run_one_of(Tree* tree);
  void run_first(MutexLock* lock) MOX_REQUIRES(mutex_);
  void work(int id);
  void work_in_last_place();
  bool take_last_place();
  void leave_last_place();

  const int threads_;
  Mutex mutex_;
  CondVar wake_, wake_last_, done_;
  std::deque<Task> tasks_ MOX_GUARDED_BY(mutex_);
  int spinning_ MOX_GUARDED_BY(mutex_) = 0;
  int sleeping_ MOX_GUARDED_BY(mutex_) = 0;
  int waking_ MOX_GUARDED_BY(mutex_) = 0;  // of those that sleep
  bool stopped_ MOX_GUARDED_BY(mutex_) = false;
  std::atomic<int> waiting_{0};          // tasks in the list, to look at without the mutex
  std::atomic<bool> last_place_{false};  // taken
  std::atomic<int> callers_asleep_{0};   // that wait for their tree
  std::vector<std::thread> workers_;
};

}  // namespace mox
