// Two processes make sure that they are of one run before they believe each other.
//
// Each proves that it knows the run's token without sending it: HMAC-SHA256 over numbers that the other chose and over
// all that it says of itself. Then what must be the same everywhere is compared. A stranger learns nothing but that
// somebody listens.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "cluster/channel.h"

namespace mox::cluster {

// What a process says of itself.
struct Identity {
  int64_t task_index = 0;
  std::string address;  // where it listens
  std::string host;     // the machine's own name
  int64_t pid = 0;
  uint64_t incarnation = 0;  // a random number a process: a task that was started again is another one
  int64_t global_step = -1;  // of the state that it holds; -1: none, it was just started
  // What all must agree on, in order: ("MoXing", "0.1.0"), ("--worker_hosts", "a:1,b:2"), ("model", "3f…"), …
  std::vector<std::pair<std::string, std::string>> agreed;
  bool finishing = false;  // it has done all its steps

  // "worker 1 (10.0.0.2:5000, process 77 on node2)"
  MOX_EXPORT std::string text() const;
};

// For what a connection is made.
// kKnock: a worker that would lead, and was missing, tells a group that went on without it that it is there.
enum class Purpose : uint8_t { kJoin, kRing, kKnock };

struct Hello {
  Identity identity;
  Purpose purpose = Purpose::kJoin;
  uint64_t group = 0;  // kRing: its number
};

// The other side said no, and another try would be of no use: it has another token, or differs in what must be the
// same.
class MOX_EXPORT Refused : public InvalidArgumentError {
 public:
  using InvalidArgumentError::InvalidArgumentError;
  ~Refused() override;
};

// Another process has the same task_index. It may be an earlier one of this task that is gone and not missed yet.
class MOX_EXPORT Taken : public ConnectionError {
 public:
  using ConnectionError::ConnectionError;
  ~Taken() override;
};

// The client's side. Returns the other's identity. Refused; ConnectionError, also when the other is busy, and Taken;
// Interrupted.
MOX_EXPORT Identity greet(Channel* channel, const Hello& mine, const std::string& token, const Wait& wait);

// The server's side, up to the answer: whoever decides it calls `welcome`, `refuse` or `put_off`. ConnectionError for a
// stranger (who has been told so), Refused for a process of another run or with other settings (who has been told why).
struct Greeted {
  Hello hello;
  std::string nonces;  // for the proof in `welcome`
};
MOX_EXPORT Greeted receive_greeting(Channel* channel, const Identity& mine, const std::string& token, const Wait& wait);
MOX_EXPORT void welcome(Channel* channel, const Greeted& greeted, const Identity& mine, const std::string& token,
                        const Wait& wait);
MOX_EXPORT void refuse(Channel* channel, const std::string& why, const Wait& wait);
MOX_EXPORT void say_taken(Channel* channel, const std::string& by, const Wait& wait);
MOX_EXPORT void put_off(Channel* channel, const std::string& why, const Wait& wait);

// "" or what differs, in words that name both sides: "--batch_size is 8 at worker 1 (…) and 16 at worker 0 (…)".
MOX_EXPORT std::string difference(const Identity& a, const Identity& b);

}  // namespace mox::cluster
