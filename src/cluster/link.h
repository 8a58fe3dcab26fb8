// One way from a process to the next one of a ring: over their connection, or, where both run on one host, through
// memory that they share. Loopback copies what it carries into the kernel's buffers and out of them, which costs more
// than the sum that a ring makes of it; the connection then only wakes who sleeps, and tells when the other is gone.
#pragma once

#include <cstddef>
#include <optional>

#include "cluster/socket.h"

namespace mox::cluster {

class MOX_EXPORT Link {
 public:
  Link() = default;
  // Over the connection, until the two sides have agreed on memory.
  explicit Link(Socket socket) : socket_(std::move(socket)) {}
  Link(Link&& other) noexcept;
  Link& operator=(Link&& other) noexcept;
  ~Link() { close(); }

  const std::string& peer() const { return socket_.peer(); }

  // How they agree, before the first byte: who writes offers, who reads answers, who writes takes the answer. Only
  // between ends that have one address, so that a network between them is used; MOX_SHARED_MEMORY=0 at either side:
  // never. ConnectionError, Interrupted.
  void offer_memory(const Wait& wait);
  void answer_offer(const Wait& wait);
  void take_answer(const Wait& wait);
  bool shares_memory() const { return memory_ != nullptr; }

  // What is there or can be taken now, at most `size` bytes; 0: nothing now. ConnectionError when the other is gone.
  size_t send_some(const void* bytes, size_t size);
  size_t receive_some(void* bytes, size_t size);
  // What to wait for before the next try; nullopt: nothing, it is worth one.
  std::optional<Ready> wait_to_send();
  std::optional<Ready> wait_to_receive();

  // The other's next try fails, once it has what was sent.
  void close();

 private:
  struct Memory;

  void map(int fd);
  void take_wakes();
  void wake();

  Socket socket_;
  Memory* memory_ = nullptr;
  int offered_ = -1;  // its descriptor, until it is answered
};

}  // namespace mox::cluster
