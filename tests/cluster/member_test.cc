#include "cluster/member.h"

#include <fmt/format.h>

#include "cluster/processes.h"

namespace mox::cluster {
namespace {

using Say = std::function<void(const std::string&)>;

struct Plan {
  std::vector<std::string> hosts;
  int64_t steps = 60;
  int milliseconds = 10;  // a step
  int64_t fails_at = -1;  // this worker throws before this step
  std::string token = "secret";
  std::vector<std::pair<std::string, std::string>> agreed;
  double session_timeout = 30;
  int64_t min_workers = 0;
  double grace = 30;
};

// A model of a training: in each step all workers add up their numbers, and the state is the sum of all sums. What it
// says: "group of N at S", "lost: …", "done at S with W".
void train(int index, const Plan& plan, const Say& say) {
  MemberOptions options;
  options.task_index = index;
  options.worker_hosts = plan.hosts;
  options.token = plan.token;
  options.agreed = plan.agreed;
  options.session_timeout = plan.session_timeout;
  options.min_workers = plan.min_workers;
  options.grace = plan.grace;
  Member member(options);
  struct {
    int64_t step = -1;
    double sum = 0;
  } state;
  const auto exchange = [&](int64_t number, float value) {
    member.begin_exchange(number);
    try {
      member.ring().all_reduce(&value, 1);
    } catch (const std::exception& e) {
      member.explain(e);
    }
    member.end_exchange();
    return value;
  };
  for (;;) {
    try {
      const Group& group = member.form(state.step);
      try {
        member.ring().broadcast(&state, sizeof state, group.source);
      } catch (const std::exception& e) {
        member.explain(e);
      }
      state.step = std::max<int64_t>(0, state.step);
      say(fmt::format("group of {} at {}", group.size(), state.step));
      for (int64_t number = 0; state.step < plan.steps; ++number, ++state.step) {
        if (state.step == plan.fails_at) {
          member.leave("the disk is full");
          throw Error("the disk is full");
        }
        ::usleep(1000 * plan.milliseconds);
        state.sum += exchange(number, static_cast<float>(1 + index));
        if (state.step % 10 == 0) say(fmt::format("step {}", state.step));
      }
      break;
    } catch (const GroupBroken& e) {
      say(std::string("lost: ") + e.what());
    }
  }
  member.leave("");
  say(fmt::format("done at {} with {:g}", state.step, state.sum));
}

Process worker(int index, const Plan& plan) {
  return Process([=](const Say& say) { train(index, plan, say); });
}

std::vector<Process> workers(const Plan& plan) {
  std::vector<Process> all;
  for (size_t i = 0; i < plan.hosts.size(); ++i) all.push_back(worker(static_cast<int>(i), plan));
  return all;
}

TEST(MemberTest, AllComeTogetherInWhateverOrderTheyStart) {
  const Plan plan{.hosts = free_addresses(4)};
  std::vector<Process> all;
  for (const int index : {3, 1, 0, 2}) {
    all.push_back(worker(index, plan));
    ::usleep(100'000);
  }
  for (Process& one : all) EXPECT_EQ(one.line_with("done"), "done at 60 with 600");
}

TEST(MemberTest, AKilledWorkerIsNamedAndTakenBack) {
  Plan plan{.hosts = free_addresses(3), .steps = 150};
  std::vector<Process> all = workers(plan);
  // A follower, then the leader, which is one like the others.
  for (const int victim : {1, 0}) {
    for (Process& one : all) one.line_with("step");
    all[victim].kill(SIGKILL);
    for (int i = 0; i < 3; ++i) {
      if (i == victim) continue;
      const std::string lost = all[i].line_with("lost");
      EXPECT_NE(lost.find(fmt::format("worker {} ({}", victim, plan.hosts[victim])), std::string::npos) << lost;
    }
    all[victim].~Process();
    new (&all[victim]) Process(worker(victim, plan));
  }
  for (Process& one : all) EXPECT_EQ(one.line_with("done"), "done at 150 with 900");
}

TEST(MemberTest, AStoppedWorkerIsNamedAndTakenBackWhenItGoesOn) {
  Plan plan{.hosts = free_addresses(3), .steps = 80};
  std::vector<Process> all = workers(plan);
  for (Process& one : all) one.line_with("step");
  all[2].signal(SIGSTOP);
  for (int i = 0; i < 2; ++i) {
    const std::string lost = all[i].line_with("lost");
    EXPECT_NE(lost.find(fmt::format("worker 2 ({}", plan.hosts[2])), std::string::npos) << lost;
    EXPECT_NE(lost.find("has not answered for 4 s"), std::string::npos) << lost;
  }
  all[2].signal(SIGCONT);
  for (Process& one : all) EXPECT_EQ(one.line_with("done"), "done at 80 with 480");
}

TEST(MemberTest, AnErrorOfOneEndsAllAndIsTold) {
  Plan plan{.hosts = free_addresses(3), .steps = 1000};
  Plan failing = plan;
  failing.fails_at = 20;
  std::vector<Process> all;
  for (int i = 0; i < 3; ++i) all.push_back(worker(i, i == 2 ? failing : plan));
  for (int i = 0; i < 2; ++i) {
    const std::string error = all[i].line_with("error");
    EXPECT_NE(error.find(fmt::format("worker 2 ({}", plan.hosts[2])), std::string::npos) << error;
    EXPECT_NE(error.find("the disk is full"), std::string::npos) << error;
  }
}

TEST(MemberTest, WhoIsMissingIsToldWhenTheTimeIsOver) {
  Plan plan{.hosts = free_addresses(3), .session_timeout = 1};
  Process first = worker(0, plan);
  Process second = worker(1, plan);
  const std::string error = first.line_with("error");
  EXPECT_NE(error.find(fmt::format("worker 2 ({}) did not connect", plan.hosts[2])), std::string::npos) << error;
  EXPECT_NE(error.find("session_timeout"), std::string::npos) << error;
  EXPECT_NE(second.line_with("error").find("--session_timeout"), std::string::npos);
}

TEST(MemberTest, OtherSettingsAreRefusedAtTheStart) {
  Plan plan{.hosts = free_addresses(2)};
  Plan other = plan;
  plan.agreed = {{"model", "1a"}};
  other.agreed = {{"model", "2b"}};
  Process first = worker(0, plan);
  Process second = worker(1, other);
  const std::string error = second.line_with("error");
  EXPECT_NE(error.find(fmt::format("model is 2b at worker 1 ({}", plan.hosts[1])), std::string::npos) << error;
  EXPECT_NE(error.find(fmt::format("and 1a at worker 0 ({}", plan.hosts[0])), std::string::npos) << error;
}

TEST(MemberTest, AStrangerDoesNotDisturb) {
  const Plan plan{.hosts = free_addresses(2)};
  std::vector<Process> all = workers(plan);
  for (int i = 0; i < 20; ++i) {
    try {
      Socket stranger = connect_to(parse_address(plan.hosts[i % 2]), for_seconds(1));
      const std::string noise(1000, static_cast<char>(i));
      stranger.send(noise.data(), noise.size(), for_seconds(1));
    } catch (const ConnectionError&) {
    }
  }
  Plan guessing = plan;
  guessing.token = "guess";
  guessing.hosts[1] = free_addresses(1)[0];
  Process intruder = worker(1, guessing);
  EXPECT_NE(intruder.line_with("error").find("another token"), std::string::npos);
  for (Process& one : all) EXPECT_EQ(one.line_with("done"), "done at 60 with 180");
}

TEST(MemberTest, WithMinWorkersThoseThatAreLeftGoOn) {
  Plan plan{.hosts = free_addresses(3), .steps = 200, .min_workers = 2, .grace = 1};
  std::vector<Process> all = workers(plan);
  for (Process& one : all) one.line_with("step");
  all[0].kill(SIGKILL);  // the leader
  EXPECT_NE(all[1].line_with("group of 2"), "");
  EXPECT_NE(all[2].line_with("group of 2"), "");
  all[0].~Process();
  new (&all[0]) Process(worker(0, plan));
  EXPECT_NE(all[0].line_with("group of 3").find("group of 3"), std::string::npos);
  for (Process& one : all) EXPECT_EQ(one.line_with("done").rfind("done at 200", 0), 0u);
}

TEST(MemberTest, OptionsAreChecked) {
  const std::vector<std::string> hosts = {"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", "127.0.0.1:4"};
  EXPECT_THROW(Member({.task_index = 4, .worker_hosts = hosts}), InvalidArgumentError);
  EXPECT_THROW(Member({.task_index = 0, .worker_hosts = {"a:1", "a:1"}}), InvalidArgumentError);
  try {
    Member({.task_index = 0, .worker_hosts = hosts, .min_workers = 2});
    FAIL();
  } catch (const InvalidArgumentError& e) {
    EXPECT_NE(std::string(e.what()).find("expected 0 or 3 to 4"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace mox::cluster
