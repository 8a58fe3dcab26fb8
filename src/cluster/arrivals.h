// Takes connections at this process's address, shakes hands with each in a thread of its own, and keeps those that are
// of this run until somebody asks for them. A stranger costs a few seconds of one thread, and nobody waits for him.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "base/mutex.h"
#include "base/worker_thread.h"
#include "cluster/handshake.h"

namespace mox::cluster {

// A process that shook hands for Purpose::kJoin or kKnock and waits for the answer.
struct Joiner {
  Channel channel;
  Greeted greeted;
  const Identity& identity() const { return greeted.hello.identity; }
};

class Arrivals {
 public:
  // Listens at once. `identity` is asked for at each handshake, from other threads.
  Arrivals(const Address& address, const std::string& flag, std::string token, std::function<Identity()> identity);
  ~Arrivals();

  const Address& address() const { return listener_.address(); }

  // While this process leads, or may; otherwise those that come to join are put off with `why`.
  void take_joiners();
  void put_off_joiners(const std::string& why);
  // All that are there. `fd` is readable when there may be some.
  std::vector<Joiner> joiners();
  int fd() const { return arrived_.fd(); }
  void return_joiner(Joiner joiner);

  // The connection of task_index for the ring of this group; not open when the time is over.
  Socket wait_for_ring(uint64_t group, int64_t task_index, const Wait& wait);

 private:
  struct Handler {
    WorkerThread thread;
    bool done = false;
  };
  struct RingArrival {
    Hello hello;
    Socket socket;
  };

  void accept_all();
  void shake_hands(Socket socket);
  void sort_in(Joiner joiner);
  void join_finished(bool all);

  const std::string token_;
  const std::function<Identity()> identity_;
  Listener listener_;
  Interrupt stop_, arrived_;
  Mutex mutex_;
  CondVar changed_;
  bool taking_ MOX_GUARDED_BY(mutex_) = false;
  std::string why_not_ MOX_GUARDED_BY(mutex_) = "it is starting";
  std::vector<Joiner> joiners_ MOX_GUARDED_BY(mutex_);
  std::vector<RingArrival> ring_ MOX_GUARDED_BY(mutex_);
  std::list<Handler> handlers_ MOX_GUARDED_BY(mutex_);
  WorkerThread acceptor_;  // last
};

}  // namespace mox::cluster
