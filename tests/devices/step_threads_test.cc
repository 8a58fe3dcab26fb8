// The threads inside a step's operations, as TensorFlow and oneDNN use a pool.
#include "devices/step_threads.h"

#include <gtest/gtest.h>

#include <chrono>
#include <latch>
#include <set>
#include <thread>
#include <vector>

#include "absl/synchronization/blocking_counter.h"
#include "moxing/error.h"
#include "tensorflow/core/lib/core/threadpool.h"

namespace mox {
namespace {

namespace tf = tensorflow;

// What oneDNN's loop does: a root that gives half of what it has away, again and again, and the caller waits for it.
void tree(StepThreads* threads, int parts, const std::function<void(int)>& part) {
  absl::BlockingCounter done(parts);
  std::function<void(int, int)> range = [&](int first, int last) {
    while (last - first > 1) {
      const int middle = first + (last - first) / 2;
      threads->ScheduleWithHint([&, middle, last] { range(middle, last); }, middle, middle + 1);
      last = middle;
    }
    part(first);
    done.DecrementCount();
  };
  threads->ScheduleWithHint([&] { range(0, parts); }, 0, 1);
  done.Wait();
}

TEST(StepThreads, TheCallerComputesAPartAndWaitsForTheRest) {
  StepThreads threads(3);
  EXPECT_EQ(threads.NumThreads(), 3);
  EXPECT_EQ(threads.CurrentThreadId(), -1);
  std::latch all(3);  // each part in a thread of its own
  std::vector<int> ids(3, -1);
  std::vector<std::thread::id> places(3);
  tree(&threads, 3, [&](int i) {
    ids[i] = threads.CurrentThreadId();
    places[i] = std::this_thread::get_id();
    all.arrive_and_wait();
  });
  EXPECT_EQ(places[0], std::this_thread::get_id());
  EXPECT_EQ(ids[0], 2);
  EXPECT_EQ(std::set<int>(ids.begin(), ids.end()), (std::set<int>{0, 1, 2}));
  EXPECT_EQ(threads.CurrentThreadId(), -1);
}

TEST(StepThreads, ARootReturnsWhenItsTreeIsDone) {
  StepThreads threads(2);
  std::atomic<int> done{0};
  threads.ScheduleWithHint(
      [&] {
        threads.Schedule([&] {
          std::this_thread::sleep_for(std::chrono::milliseconds(5));  // longer than anybody looks for work
          threads.Schedule([&] { ++done; });
          ++done;
        });
        ++done;
      },
      0, 1);
  EXPECT_EQ(done, 3);
}

// With nobody else left to compute it, the caller that sleeps does.
TEST(StepThreads, ATaskMayWaitForTasksOfItsOwn) {
  StepThreads threads(2);
  std::latch begun(1), inner(1);
  threads.ScheduleWithHint(
      [&] {
        threads.Schedule([&] {
          begun.count_down();
          std::this_thread::sleep_for(std::chrono::milliseconds(5));  // longer than anybody looks for work
          threads.Schedule([&] { inner.count_down(); });
          inner.wait();
        });
        begun.wait();
      },
      0, 1);
  EXPECT_TRUE(inner.try_wait());
}

// What the caller has to begin itself before it waits, and what is no root.
TEST(StepThreads, OtherTasksRunElsewhere) {
  std::latch begun(2), begun_with_hint(2);  // both at once, while nobody is in the last place
  StepThreads threads(2);                   // ends before them
  for (std::latch* both : {&begun, &begun_with_hint}) {
    const auto task = [both] { both->arrive_and_wait(); };
    both == &begun ? threads.Schedule(task) : threads.ScheduleWithHint(task, 1, 2);
    threads.Schedule(task);
    both->wait();
  }
}

TEST(StepThreads, WakesUpAfterAPause) {
  StepThreads threads(2);
  for (int turn = 0; turn < 3; ++turn) {
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
    std::latch both(2);
    tree(&threads, 2, [&](int) { both.arrive_and_wait(); });
  }
}

// As several operations of a step do, one of which has the last place.
TEST(StepThreads, SeveralCallersAtOnce) {
  StepThreads threads(3);
  std::vector<std::thread> callers;
  std::vector<int64_t> sums(4);
  for (int64_t& sum : sums)
    callers.emplace_back([&threads, &sum] {
      for (int turn = 0; turn < 500; ++turn) {
        std::atomic<int64_t> parts{0};
        tree(&threads, 1 + turn % 7, [&](int i) { parts += i + 1; });
        sum += parts;
      }
    });
  for (std::thread& caller : callers) caller.join();
  int64_t expected = 0;
  for (int turn = 0; turn < 500; ++turn) expected += (1 + turn % 7) * (2 + turn % 7) / 2;
  EXPECT_EQ(sums, std::vector<int64_t>(4, expected));
}

TEST(StepThreads, ServesTensorFlowsLoops) {
  StepThreads threads(2);
  tf::thread::ThreadPool pool(&threads);
  for (int64_t size : {1, 2, 3, 1000}) {
    std::vector<int> counts(size), ids(size);
    const auto one_each = tf::thread::ThreadPool::SchedulingParams::Fixed(1);
    pool.ParallelForWithWorkerId(size, one_each, [&](int64_t first, int64_t last, int id) {
      for (int64_t i = first; i < last; ++i) ++counts[i], ids[i] = id;
    });
    pool.ParallelFor(size, one_each, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i) ++counts[i];
    });
    EXPECT_EQ(counts, std::vector<int>(size, 2));
    for (const int id : ids) EXPECT_TRUE(id >= 0 && id <= 2) << id;
  }
}

TEST(StepThreads, OfTheProcess) {
  EXPECT_EQ(StepThreads::of_process(1), nullptr);
  EXPECT_EQ(StepThreads::of_process(9), nullptr);
  StepThreads* const two = StepThreads::of_process(2);
  ASSERT_NE(two, nullptr);
  EXPECT_EQ(StepThreads::of_process(2), two);
  EXPECT_EQ(StepThreads::of_process(3)->NumThreads(), 3);
  setenv("MOX_STEP_THREADS", "0", 1);
  EXPECT_EQ(StepThreads::of_process(2), nullptr);
  setenv("MOX_STEP_THREADS", "maybe", 1);
  EXPECT_THROW(StepThreads::of_process(2), InvalidArgumentError);
  unsetenv("MOX_STEP_THREADS");
}

}  // namespace
}  // namespace mox
