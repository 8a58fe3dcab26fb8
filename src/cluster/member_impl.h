// What member.cc, forming.cc and watching.cc share.
#pragma once

#include <optional>

#include "base/mutex.h"
#include "base/worker_thread.h"
#include "cluster/arrivals.h"
#include "cluster/member.h"

namespace mox::cluster {

inline double seconds_since(Clock::time_point when) {
  return std::chrono::duration<double>(Clock::now() - when).count();
}

// What another told of itself with its last sign of life.
struct Progress {
  int64_t exchange = 0;     // it takes part in, or comes to next
  bool exchanging = false;  // false: it is in its input or computes
  bool operator==(const Progress&) const = default;
};

// The other side of a connection of a running group.
struct Watched {
  int64_t task_index = 0;
  std::string name;
  uint64_t incarnation = 0;
  Channel channel;
  Clock::time_point last_sign = Clock::now();
  Progress progress;
  bool left = false;       // it ended in order
  bool finishing = false;  // until the group begins
};

struct Member::Impl {
  explicit Impl(MemberOptions options);
  ~Impl();

  // forming.cc
  const Group& form(int64_t global_step, const std::function<bool()>& stopped, bool finishing);
  bool lead(const std::function<bool()>& stopped, Clock::time_point until);
  bool follow(int64_t leader, const std::function<bool()>& stopped, std::string* why_not);
  bool is_enough(const std::vector<Watched>& joined);
  void knock(const std::vector<Watched>& joined);
  void take_joiner(Joiner joiner, std::vector<Watched>* joined);
  bool start_group(std::vector<Watched> joined);
  Ring connect_ring(const Group& group);
  void begin_group(Group group, Ring ring, std::vector<Watched> watched);
  void report_waiting(const std::string& missing);
  std::string missing_of(const std::vector<Watched>& joined) const;
  Identity identity();

  // watching.cc
  void watch(const std::stop_token& stop);
  bool watch_once();
  void send_signs();
  void take_messages(Watched* other);
  void take_message(Watched* other, const Message& message);
  void note_progress();
  void take_arrivals();
  void find_lost();
  void tell_trouble();
  // The group ends, for all: the first reason counts.
  enum class End { kBroken, kFailed };
  void end_group(const std::string& why, End end = End::kBroken);
  void stop_watching();
  [[noreturn]] void explain(const std::string& error);
  void throw_if_over() MOX_REQUIRES(mutex);

  const MemberOptions options;
  const Address own_address;
  const std::string host;
  const uint64_t incarnation;
  std::vector<std::pair<std::string, std::string>> agreed;

  Interrupt wake;       // the watching thread
  Interrupt interrupt;  // the ring
  Group group;
  Ring ring;
  Clock::time_point waiting_since;
  Clock::time_point taken_since;  // another has this task_index
  double next_report = 0;         // seconds of waiting

  Mutex mutex;
  CondVar changed;
  int64_t global_step MOX_GUARDED_BY(mutex) = -1;
  bool finishing MOX_GUARDED_BY(mutex) = false;
  bool over MOX_GUARDED_BY(mutex) = false;  // no group runs
  End how MOX_GUARDED_BY(mutex) = End::kBroken;
  std::string why MOX_GUARDED_BY(mutex);      // it is over
  std::string trouble MOX_GUARDED_BY(mutex);  // what this process's ring said
  Clock::time_point trouble_since MOX_GUARDED_BY(mutex);
  bool told_trouble MOX_GUARDED_BY(mutex) = false;
  Progress progress MOX_GUARDED_BY(mutex);
  std::vector<std::pair<std::string, Progress>> others_progress MOX_GUARDED_BY(mutex);  // at the leader

  // The watching thread's, and form()'s while it does not run.
  bool leads = false;
  std::vector<Watched> watched;
  Clock::time_point last_signs;
  WorkerThread watcher;

  Arrivals arrivals;  // last: its threads use what is above
};

constexpr double kSignSeconds = 0.5;   // between signs of life
constexpr double kMessageSeconds = 2;  // for a small message to be taken

}  // namespace mox::cluster
