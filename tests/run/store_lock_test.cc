// The lock of a log_dir on an object store: who holds it gives signs of life, who does not loses it.
#include "run/store_lock.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>

#include "file/servers.h"
#include "moxing/error.h"
#include "moxing/file.h"

namespace mox::test {
namespace {

// Long enough for a busy machine: who beats every 0.2 s is late by less than two.
constexpr StoreLock::Times kQuick{.beat = 0.2, .watch = 2.5, .settle = 0.5};

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

class StoreLockTest : public ::testing::Test {
 protected:
  void SetUp() override {
    use_server(server("versitygw"));
    file::make_dirs("s3://locks");
    static int counter = 0;
    log_dir_ = "s3://locks/run-" + std::to_string(counter++);
  }
  std::string log_dir_;
};

TEST_F(StoreLockTest, ASecondTrainingIsRefusedWhileTheFirstLives) {
  auto first = std::make_unique<StoreLock>(log_dir_, kQuick);
  try {
    StoreLock second(log_dir_, kQuick);
    FAIL() << "two hold it";
  } catch (const InvalidArgumentError& e) {
    EXPECT_NE(std::string(e.what()).find("process " + std::to_string(getpid()) + " on host "), std::string::npos)
        << e.what();
  }
  first.reset();
  EXPECT_FALSE(file::exists(log_dir_ + "/.mox_lock"));
  StoreLock third(log_dir_ + "/", kQuick);
}

TEST_F(StoreLockTest, OfTwoAtOnceOneHoldsIt) {
  std::atomic<int> held{0}, refused{0};
  std::vector<std::thread> trainings;
  std::vector<std::unique_ptr<StoreLock>> locks(4);
  for (auto& lock : locks)
    trainings.emplace_back([&] {
      try {
        lock = std::make_unique<StoreLock>(log_dir_, kQuick);
        ++held;
      } catch (const InvalidArgumentError&) {
        ++refused;
      }
    });
  for (auto& training : trainings) training.join();
  EXPECT_EQ(held, 1);
  EXPECT_EQ(refused, 3);
}

TEST_F(StoreLockTest, TheLockOfADeadProcessOfThisMachineIsTakenOverAtOnce) {
  const pid_t child = fork();
  if (child == 0) {
    new StoreLock(log_dir_, kQuick);  // never released by hand
    _exit(0);
  }
  int status = -1;
  waitpid(child, &status, 0);
  ASSERT_EQ(status, 0);
  ASSERT_TRUE(file::exists(log_dir_ + "/.mox_lock"));
  const auto begin = std::chrono::steady_clock::now();
  StoreLock lock(log_dir_, {.beat = 10, .watch = 600, .settle = 0.1});
  EXPECT_LT(seconds_since(begin), 300);  // it was not watched
}

TEST_F(StoreLockTest, TheLockOfAnotherMachineIsTakenOverAfterItsSilence) {
  file::write(log_dir_ + "/.mox_lock", "other-host 12 boot/pid:[1] 99 token 3\n");
  const auto begin = std::chrono::steady_clock::now();
  StoreLock lock(log_dir_, kQuick);
  EXPECT_GE(seconds_since(begin), kQuick.watch);
  EXPECT_EQ(file::read(log_dir_ + "/.mox_lock").find("other-host"), std::string::npos);
}

TEST_F(StoreLockTest, WhatTheStoreAnswersIsTold) {
  try {
    StoreLock lock("s3://no-such-bucket/run", kQuick);
    FAIL();
  } catch (const InvalidArgumentError& e) {
    EXPECT_NE(std::string(e.what()).find("NoSuchBucket"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace mox::test
