#include "cluster/exchanger.h"

#include <fmt/format.h>

#include "base/mutex.h"
#include "cluster/processes.h"

namespace mox::cluster {
namespace {

using Say = std::function<void(const std::string&)>;

MemberOptions options_of(int index, const std::vector<std::string>& hosts) {
  MemberOptions options;
  options.task_index = index;
  options.worker_hosts = hosts;
  options.token = "secret";
  return options;
}

// The end of a bucket's exchange. No std::promise: ThreadSanitizer does not see into it.
class End {
 public:
  Exchanger::Done done() {
    return [this](std::exception_ptr error) {
      const MutexLock lock(mutex_);
      error_ = error;
      ended_ = true;
      changed_.notify_all();
    };
  }
  // Throws what the exchange threw.
  void wait() {
    MutexLock lock(mutex_);
    changed_.wait(lock, [this]() MOX_REQUIRES(mutex_) { return ended_; });
    if (error_) std::rethrow_exception(error_);
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  bool ended_ MOX_GUARDED_BY(mutex_) = false;
  std::exception_ptr error_ MOX_GUARDED_BY(mutex_);
};

void exchange_bucket(Exchanger* exchanger, int bucket, std::vector<float>* data) {
  End end;
  exchanger->post(bucket, {{data->data(), data->data(), data->size()}}, end.done());
  end.wait();
}

// Posts `tensors`, a bucket each, and waits for all. The order of posting is `first`, `first` + 1, … round.
void exchange(Exchanger* exchanger, std::vector<std::vector<float>>* tensors, size_t first) {
  std::vector<End> ends(tensors->size());
  for (size_t i = 0; i < tensors->size(); ++i) {
    const size_t bucket = (first + i) % tensors->size();
    std::vector<float>& data = (*tensors)[bucket];
    exchanger->post(static_cast<int>(bucket), {{data.data(), data.data(), data.size()}}, ends[bucket].done());
  }
  // All of them, also after an error: they end before what they write to goes.
  std::exception_ptr error;
  for (End& end : ends) {
    try {
      end.wait();
    } catch (...) {
      error = std::current_exception();
    }
  }
  if (error) std::rethrow_exception(error);
}

// So many processes that have come together, each with an exchanger; they run `body`, and leave.
std::vector<Process> together(int count, const Exchanger::Options& options,
                              const std::function<void(int index, Member*, Exchanger*, const Say&)>& body) {
  const std::vector<std::string> hosts = free_addresses(count);
  std::vector<Process> all;
  for (int index = 0; index < count; ++index)
    all.emplace_back([=](const Say& say) {
      Member member(options_of(index, hosts));
      member.form(-1);
      Exchanger exchanger(&member, options);
      body(index, &member, &exchanger, say);
      member.leave("");
    });
  return all;
}

TEST(ExchangerTest, BucketsInAnyOrderBecomeTheMean) {
  for (const WireType wire : {WireType::kFloat, WireType::kBfloat16}) {
    std::vector<Process> all = together(
        3, {.first = {1}, .buckets = 5, .wire = wire}, [](int index, Member*, Exchanger* exchanger, const Say& say) {
          for (int step = 0; step < 5; ++step) {
            std::vector<std::vector<float>> tensors;
            for (const size_t count : {size_t{1}, size_t{1000}, size_t{0}, size_t{700'001}, size_t{33}})
              tensors.emplace_back(count, static_cast<float>(2 * index + step));
            exchange(exchanger, &tensors, static_cast<size_t>(index + step));
            for (const auto& tensor : tensors)
              for (const float value : tensor)
                if (value != static_cast<float>(2 + step)) throw Error(fmt::format("{} at step {}", value, step));
          }
          say(fmt::format("{} steps", exchanger->steps()));
        });
    for (Process& one : all) EXPECT_EQ(one.line(), "5 steps");
  }
}

TEST(ExchangerTest, OneVoteStopsAllAfterTheSameStep) {
  std::vector<Process> all = together(2, {}, [=](int index, Member* member, Exchanger* exchanger, const Say& say) {
    while (!exchanger->was_voted(Exchanger::Vote::kStop)) {
      if (index == 1 && exchanger->steps() == 7) exchanger->vote(Exchanger::Vote::kStop);
      std::vector<std::vector<float>> tensors = {{1, 2, 3}};
      exchange(exchanger, &tensors, 0);
    }
    say(fmt::format("{} steps, {}", exchanger->steps(), exchanger->was_voted(Exchanger::Vote::kInterrupt)));
  });
  for (Process& one : all) EXPECT_EQ(one.line(), "8 steps, false");
}

TEST(ExchangerTest, NumbersThatAllTellAreKnownToAllAfterTheStep) {
  std::vector<Process> all = together(2, {.first = {3}, .wire = WireType::kBfloat16},
                                      [](int index, Member*, Exchanger* exchanger, const Say& say) {
                                        std::string text;
                                        const auto step = [&] {
                                          std::vector<std::vector<float>> tensors = {{1, 2, 3}};
                                          exchange(exchanger, &tensors, 0);
                                          const auto told = exchanger->told();
                                          text += told ? fmt::format("{:.3f} {:.3f},", (*told)[0], (*told)[1]) : "-,";
                                        };
                                        if (index == 0) exchanger->tell({0.125, 3.001});
                                        step();  // the other has said nothing
                                        if (index == 1) exchanger->tell({0.375, 1.001});
                                        step();
                                        step();
                                        exchanger->restart();
                                        step();
                                        say(text);
                                      });
  for (Process& one : all) EXPECT_EQ(one.line(), "-,0.250 2.001,0.250 2.001,-,");
}

// In buckets of every kind: small parts with the signals in front of them, one large part that travels in place.
TEST(ExchangerTest, WhereOneHasNoMoreStepsNobodyHasThatStepAndTheGroupStaysWhole) {
  for (const size_t count : {size_t{3}, size_t{300'000}}) {
    std::vector<Process> all = together(
        3, {.first = {count}, .buckets = 2}, [=](int index, Member* member, Exchanger* exchanger, const Say& say) {
          int64_t steps = 0;
          std::string why;
          while (why.empty() && (index != 1 || steps < 4)) {
            try {
              std::vector<std::vector<float>> tensors = {std::vector<float>(count, 1), {5}};
              exchange(exchanger, &tensors, 0);
              ++steps;
            } catch (const PeerFinished& e) {
              why = e.what();
              exchanger->restart();
            }
          }
          // Those whose step did not come about have no more, either.
          int rounds = 1;
          while (!exchanger->finish()) ++rounds;
          say(fmt::format("{} steps {} rounds {}", steps, rounds, why.substr(0, 8)));
        });
    EXPECT_EQ(all[0].line(), "4 steps 1 rounds worker 1");
    EXPECT_EQ(all[1].line(), "4 steps 2 rounds ");
    EXPECT_EQ(all[2].line(), "4 steps 1 rounds worker 1");
  }
}

TEST(ExchangerTest, AStepThatFailsAtOneProcessDoesNotWaitThere) {
  std::vector<Process> all =
      together(2, {.first = {1}, .buckets = 3}, [=](int index, Member* member, Exchanger* exchanger, const Say& say) {
        std::vector<float> data(1, 1), last(1, 1);
        try {
          if (index == 1) {  // its bucket 1 is never posted
            exchange_bucket(exchanger, 0, &data);
            End end;
            exchanger->post(2, {{last.data(), last.data(), 1}}, end.done());
            exchanger->cancel();
            end.wait();
          }
          std::vector<std::vector<float>> tensors(3, std::vector<float>(1, 1));
          exchange(exchanger, &tensors, 0);
          say("whole");
        } catch (const StepCancelled&) {
          say("cancelled");
          member->leave("a label is wrong");
        } catch (const PeerFailed& e) {
          say(e.what());
        }
      });
  EXPECT_EQ(all[1].line(), "cancelled");
  EXPECT_NE(all[0].line().find("a label is wrong"), std::string::npos);
}

TEST(ExchangerTest, AGateThatOneClosesEndsTheStepForAll) {
  std::vector<Process> all =
      together(2, {.buckets = 2, .gate = true}, [=](int index, Member* member, Exchanger* exchanger, const Say& say) {
        std::string done;
        for (int step = 0; step < 6; ++step) {
          std::vector<std::vector<float>> gate = {{step % 3 == index ? 1.0f : 0.0f}};
          exchange_bucket(exchanger, 0, &gate[0]);
          std::vector<float> gradients(1000, static_cast<float>(index));
          if (gate[0][0] == 0) exchange_bucket(exchanger, 1, &gradients);
          done += gate[0][0] == 0 ? fmt::format(" {}", gradients[999]) : " -";
        }
        say(fmt::format("{} steps:{}", exchanger->steps(), done));
      });
  for (Process& one : all) EXPECT_EQ(one.line(), "6 steps: - - 0.5 - - 0.5");
}

TEST(ExchangerTest, AfterALostGroupAllThatIsPostedFailsAndTheNextGroupGoesOn) {
  const std::vector<std::string> hosts = free_addresses(2);
  const auto survivor = [=](const Say& say) {
    Member member(options_of(0, hosts));
    Exchanger exchanger(&member, {.buckets = 3});
    for (int group = 0; group < 2; ++group) {
      member.form(0);
      exchanger.restart();
      try {
        for (int step = 0; step < 10; ++step) {
          std::vector<std::vector<float>> tensors(3, std::vector<float>(100'000, 1));
          exchange(&exchanger, &tensors, 0);
        }
        say("whole");
      } catch (const GroupBroken&) {
        say(fmt::format("broken after {}", exchanger.steps()));
      }
    }
    member.leave("");
  };
  const auto other = [=](int steps) {
    return [=](const Say& say) {
      Member member(options_of(1, hosts));
      member.form(-1);
      Exchanger exchanger(&member, {.buckets = 3});
      for (int step = 0; step < steps; ++step) {
        std::vector<std::vector<float>> tensors(3, std::vector<float>(100'000, 1));
        exchange(&exchanger, &tensors, 2);
      }
      if (steps == 4) ::_exit(9);
      say("whole");
      member.leave("");
    };
  };
  Process first(survivor);
  {
    Process second(other(4));
    EXPECT_EQ(first.line(), "broken after 4");
  }
  Process again(other(10));
  EXPECT_EQ(again.line(), "whole");
  EXPECT_EQ(first.line(), "whole");
}

}  // namespace
}  // namespace mox::cluster
