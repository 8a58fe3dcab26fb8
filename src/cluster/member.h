// One process's part in the group that trains together: finds the others, watches over them, and comes together with
// them again after one was lost.
//
// Everybody listens at its own address. The worker of the least task_index leads: the others join it, it makes a group
// of them when all are there, each connects to its neighbours of the ring, and the group begins. While it runs, the
// leader and each of the others tell each other twice a second that they live. Who does not, or whose connection
// closes, is named to all, and the group is broken: what is under way ends with GroupBroken, and form() makes the next
// group. No other process takes part in any of it: there is no server beside the workers.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cluster/ring.h"

namespace mox::cluster {

struct MemberOptions {
  int64_t task_index = 0;
  std::vector<std::string> worker_hosts;  // "host:port", this process's own among them
  std::string token;                      // of the run
  // What all workers must have in common, see Identity::agreed. The host lists and MoXing's version are added.
  std::vector<std::pair<std::string, std::string>> agreed;
  double session_timeout = 7200;  // seconds that form() waits for the others
  int64_t min_workers = 0;        // form() goes on with so many after `grace` seconds; 0: only with all
  double grace = 30;              // seconds
  double heartbeat_limit = 4;     // seconds without a sign of life after which a worker is lost
  double wait_report = 5;         // seconds until the first line that says who is missing; then they grow apart
};

// Who trains together.
struct Group {
  struct Seat {
    int64_t task_index = 0;
    std::string name;  // "worker 1 (10.0.0.2:5000, process 77 on node2)"
  };
  uint64_t number = 0;
  std::vector<Seat> seats;   // in the order of task_index; the place is the rank
  int rank = 0;              // this process's
  int source = 0;            // the rank whose state the others take
  int64_t global_step = -1;  // of that state; -1: nobody has any yet
  int size() const { return static_cast<int>(seats.size()); }
};

// The group is no more: who was lost. form() makes another.
class MOX_EXPORT GroupBroken : public RunError {
 public:
  using RunError::RunError;
  ~GroupBroken() override;
};

// Another worker ended with an error of its own, which names it. There is nothing to wait for.
class MOX_EXPORT PeerFailed : public RunError {
 public:
  using RunError::RunError;
  ~PeerFailed() override;
};

// What a Member refuses of its lists, before it listens: InvalidArgumentError for a task_index outside of worker_hosts,
// a host without a port or that is named twice, min_workers of at most half of the workers (two halves that do not see
// each other would both go on).
MOX_EXPORT void check_workers(int64_t task_index, const std::vector<std::string>& worker_hosts, int64_t min_workers);

class MOX_EXPORT Member {
 public:
  // Listens. As check_workers; InvalidArgumentError for an address that is not this host's and a port that is taken.
  explicit Member(MemberOptions options);
  ~Member();

  // Waits for the others, ends with a group. `global_step`: of the state that this process holds, -1 for none.
  // `stopped` is asked now and then: true ends the waiting with Interrupted. Refused when another has other settings or
  // another token, or this task_index is taken; RunError that says who is missing after session_timeout.
  // `finishing`: this process has done all its steps. Where one has, worker 0 waits only `grace` seconds for those that
  // are missing: nothing is needed of them any more, but they may be started again and want to come to the end, too.
  const Group& form(int64_t global_step, const std::function<bool()>& stopped = nullptr, bool finishing = false);
  const Group& group() const;
  Ring& ring();

  // Throws as begin_exchange does when the group is no more.
  void check() const;
  // Each exchange of a step is begun and ended, so that the others can be told who waits for whom.
  // begin_exchange throws GroupBroken or PeerFailed when this one cannot come about.
  void begin_exchange(int64_t number);
  void end_exchange();
  // What an operation of the ring threw: waits until it is known who was lost, then throws as begin_exchange does.
  [[noreturn]] void explain(const std::exception& error);

  // Between begin_exchange and end_exchange. From any thread, as stragglers().
  bool is_exchanging() const;
  // Who keeps the others waiting, in words: "worker 2 (…) has not come to the exchange in which 3 others wait". Known
  // at the leader alone; "" when nobody waits.
  std::string stragglers() const;

  // This process ends: in order, or with an error that the others are told.
  void leave(const std::string& error);

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace mox::cluster
