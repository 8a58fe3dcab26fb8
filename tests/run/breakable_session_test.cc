// Calls of a session that is cut off: broken off from another thread, and left behind.
#include "run/breakable_session.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace mox {
namespace {

namespace tf = tensorflow;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

// What the test sees of a session that the wrapper owns.
struct Seen {
  std::atomic<bool> answers{true};  // false: a call hangs
  std::atomic<bool> destroyed{false};
  std::thread::id destroyer;  // read once destroyed
};

class FakeSession : public tf::Session {
 public:
  explicit FakeSession(Seen* seen) : seen_(seen) {}
  ~FakeSession() override {
    seen_->destroyer = std::this_thread::get_id();
    seen_->destroyed = true;
  }

  absl::Status Create(const tf::GraphDef&) override { return absl::OkStatus(); }
  absl::Status Extend(const tf::GraphDef&) override { return absl::OkStatus(); }
  absl::Status Run(const std::vector<std::pair<std::string, tf::Tensor>>&, const std::vector<std::string>&,
                   const std::vector<std::string>&, std::vector<tf::Tensor>*) override {
    return absl::InternalError("the other Run is called");
  }
  absl::Status Run(const tf::RunOptions&, const std::vector<std::pair<std::string, tf::Tensor>>&,
                   const std::vector<std::string>&, const std::vector<std::string>&, std::vector<tf::Tensor>* fetched,
                   tf::RunMetadata*) override {
    while (!seen_->answers) std::this_thread::sleep_for(milliseconds(1));
    fetched->emplace_back(7.0f);
    return absl::OkStatus();
  }
  absl::Status ListDevices(std::vector<tf::DeviceAttributes>*) override { return absl::OkStatus(); }
  absl::Status Close() override { return absl::OkStatus(); }

 private:
  Seen* const seen_;
};

void wait_until_destroyed(const Seen& seen) {
  const auto until = steady_clock::now() + std::chrono::seconds(20);
  while (!seen.destroyed && steady_clock::now() < until) std::this_thread::sleep_for(milliseconds(1));
  ASSERT_TRUE(seen.destroyed);
}

TEST(BreakableSessionTest, CallThatHangsIsBrokenOffAndTheNextOneAnswersAgain) {
  Seen seen;
  const auto breaker = std::make_shared<SessionBreaker>();
  {
    const auto session = make_breakable(std::make_unique<FakeSession>(&seen), breaker);
    std::vector<tf::Tensor> fetched;
    ASSERT_TRUE(session->Run({}, {"x:0"}, {}, &fetched).ok());
    EXPECT_EQ(fetched.at(0).scalar<float>()(), 7);

    seen.answers = false;
    std::thread other([&] {
      std::this_thread::sleep_for(milliseconds(50));
      breaker->break_off("worker 1 is lost");
    });
    const absl::Status status = session->Run({}, {"x:0"}, {}, &fetched);
    other.join();
    EXPECT_TRUE(absl::IsAborted(status)) << status;
    EXPECT_EQ(status.message(), "worker 1 is lost");
    EXPECT_TRUE(absl::IsAborted(session->Run({}, {"x:0"}, {}, &fetched))) << "before clear()";

    seen.answers = true;
    breaker->clear();
    EXPECT_TRUE(session->Run({}, {"x:0"}, {}, &fetched).ok());
  }
  wait_until_destroyed(seen);
}

// The session's destructor may wait for processes that are gone: not in the thread that goes on.
TEST(BreakableSessionTest, SessionIsNeverDestroyedByWhoLeavesIt) {
  for (int i = 0; i < 100; ++i) {
    Seen seen;
    make_breakable(std::make_unique<FakeSession>(&seen), std::make_shared<SessionBreaker>()).reset();
    wait_until_destroyed(seen);
    ASSERT_NE(seen.destroyer, std::this_thread::get_id()) << "round " << i;
  }
}

}  // namespace
}  // namespace mox
