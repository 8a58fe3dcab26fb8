// TCP between the processes of a cluster: every wait has an end, and another thread can break it off.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "moxing/error.h"
#include "moxing/export.h"

namespace mox::cluster {

using Clock = std::chrono::steady_clock;

// "host:port" or "[::1]:port".
struct Address {
  std::string host;
  uint16_t port = 0;
  MOX_EXPORT std::string text() const;
};
// InvalidArgumentError for a text without a host or with a port outside 1 to 65535.
MOX_EXPORT Address parse_address(const std::string& text);

// A connection that failed, or a peer that is gone: what was done, with whom, and what the system says of it.
class MOX_EXPORT ConnectionError : public RunError {
 public:
  using RunError::RunError;
  ~ConnectionError() override;
};

// What was under way was broken off by Interrupt::set.
class MOX_EXPORT Interrupted : public RunError {
 public:
  using RunError::RunError;
  ~Interrupted() override;
};

// Wakes whatever waits with it, now and until `clear`. Any thread may set it.
class MOX_EXPORT Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  void set();
  void clear();
  bool is_set() const { return set_; }
  int fd() const { return fd_; }  // readable while it is set

 private:
  int fd_ = -1;
  std::atomic<bool> set_{false};
};

// Until when, and by whom it may be broken off (not owned; none: only by time).
struct Wait {
  Clock::time_point until;
  const Interrupt* interrupt = nullptr;
};
inline Wait for_seconds(double seconds, const Interrupt* interrupt = nullptr) {
  return {Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds)),
          interrupt};
}

// A connected, non-blocking socket without delay.
class MOX_EXPORT Socket {
 public:
  Socket() = default;
  Socket(int fd, std::string peer);
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)), peer_(std::move(other.peer_)) {}
  Socket& operator=(Socket&& other) noexcept;
  ~Socket() { close(); }

  bool is_open() const { return fd_ >= 0; }
  int fd() const { return fd_; }
  // Who is at the other side: an address, or the name that `name` gave. For messages.
  const std::string& peer() const { return peer_; }
  void name(std::string peer) { peer_ = std::move(peer); }

  // All bytes, or ConnectionError (closed, reset, the time is over) or Interrupted.
  void send(const void* bytes, size_t size, const Wait& wait);
  void receive(void* bytes, size_t size, const Wait& wait);
  // What is there or can be taken now, at most `size` bytes; 0: nothing now. ConnectionError at the end of the stream.
  size_t send_some(const void* bytes, size_t size);
  size_t receive_some(void* bytes, size_t size);

  void close();

 private:
  int fd_ = -1;
  std::string peer_;
};

// Connects once. ConnectionError that says what is wrong: the name is not known, refused, no answer in time.
MOX_EXPORT Socket connect_to(const Address& address, const Wait& wait);

// Listens at the address itself, not at all addresses of this host.
class MOX_EXPORT Listener {
 public:
  // InvalidArgumentError when the address is no address of this host or the port is taken: `flag` (such as
  // "worker_hosts[1]") is named. Port 0: the kernel picks one.
  Listener(const Address& address, const std::string& flag);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  const Address& address() const { return address_; }
  // The next connection; a socket that is not open when the time is over. Interrupted.
  Socket accept(const Wait& wait);

 private:
  Address address_;
  int fd_ = -1;
};

// Waits until one of the descriptors is ready for what it asks (poll's events; -1 is skipped). False: the time is over.
// Interrupted.
struct Ready {
  int fd = -1;
  short events = 0, revents = 0;
};
MOX_EXPORT bool wait_for(std::vector<Ready>* ready, const Wait& wait);

}  // namespace mox::cluster
