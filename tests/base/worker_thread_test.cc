// Threads that objects keep: told to stop they wake, and what they throw ends them, not the process.
#include "base/worker_thread.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <stdexcept>

#include "base/mutex.h"
#include "moxing/log.h"

namespace mox {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

TEST(WorkerThread, StopWakesASleeper) {
  bool slept = true;
  WorkerThread thread("sleeper", [&](const std::stop_token& stop) { slept = sleep_unless_stopped(stop, hours(1)); });
  thread.stop();
  EXPECT_FALSE(slept);
  thread.stop();  // again: nothing
}

TEST(WorkerThread, ItsEndWakesAWaiterAndComesBeforeWhatItUsesGoes) {
  std::atomic<bool> ended{false};
  {
    Mutex mu;
    CondVar wake;
    const WorkerThread thread("waiter", [&](const std::stop_token& stop) {
      MutexLock lock(mu);
      wake.wait(lock, stop, [] { return false; });
      ended = true;
    });
  }
  EXPECT_TRUE(ended);
}

TEST(WorkerThread, SleepsItsTimeAndJoinWaitsForTheWork) {
  bool slept = false;
  WorkerThread thread("short",
                      [&](const std::stop_token& stop) { slept = sleep_unless_stopped(stop, milliseconds(1)); });
  thread.join();
  EXPECT_TRUE(slept);
  WorkerThread none;
  none.join();
  none.stop();
}

TEST(WorkerThread, WhatTheWorkThrowsIsALineAndDebuggersSeeTheName) {
  std::string line;
  set_log_sink([&](LogLevel level, std::string_view text) {
    if (level == LogLevel::kError) line = text;
  });
  char name[16] = "";
  WorkerThread("mox_test", [&](const std::stop_token&) {
    pthread_getname_np(pthread_self(), name, sizeof name);
    throw std::runtime_error("no such thing");
  }).join();
  set_log_sink(nullptr);
  EXPECT_EQ(line, "the thread mox_test ended by a mistake inside MoXing, please report it: no such thing");
  EXPECT_STREQ(name, "mox_test");
}

}  // namespace
}  // namespace mox
