#include "cluster/link.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "base/environment.h"
#include "base/random.h"

namespace mox::cluster {
namespace {

// A section of a piece goes in whole (exchanger.cc) and another one on its way back; more would leave the cache.
constexpr size_t kBytes = 1 << 20;
constexpr size_t kChunk = 128 << 10;  // bytes after which the other side may begin with what was written

// What is offered: a descriptor of the process that writes. Its name has a number that nobody else knows: another
// process of that number, in another container, has no such file. Without an offer: zeros.
struct Offer {
  int64_t pid = 0, fd = -1;
  uint64_t number = 0;
};

std::string name_of(uint64_t number) { return fmt::format("mox_ring_{:016x}", number); }

std::string address_of(int fd, int (*get)(int, sockaddr*, socklen_t*)) {
  sockaddr_storage address = {};
  socklen_t size = sizeof address;
  if (get(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return "";
  char text[INET6_ADDRSTRLEN] = "";
  const void* at = address.ss_family == AF_INET
                       ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in&>(address).sin_addr)
                       : &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
  return ::inet_ntop(address.ss_family, at, text, sizeof text) ? text : "";
}

bool may_share(const Socket& socket) {
  const std::string here = address_of(socket.fd(), &::getsockname);
  return !here.empty() && here == address_of(socket.fd(), &::getpeername) &&
         bool_in_environment("MOX_SHARED_MEMORY").value_or(true);
}

// -1: the other's memory is not to be had from here.
int open_offered(const Offer& offer) {
  const std::string path = fmt::format("/proc/{}/fd/{}", offer.pid, offer.fd);
  char leads_to[64] = "";
  if (::readlink(path.c_str(), leads_to, sizeof leads_to - 1) < 0) return -1;
  if (leads_to != fmt::format("/memfd:{} (deleted)", name_of(offer.number))) return -1;
  return ::open(path.c_str(), O_RDWR | O_CLOEXEC);
}

}  // namespace

// One writes, one reads. Who finds nothing to do says so before it looks once more and sleeps; the other, once it has
// made some, looks whether to wake it: one of the two sees what the other did.
struct Link::Memory {
  std::atomic<uint64_t> written, read;  // bytes, ever
  std::atomic<uint32_t> reader_sleeps, writer_sleeps;
  alignas(64) char bytes[kBytes];
};
static_assert(std::atomic<uint64_t>::is_always_lock_free && std::atomic<uint32_t>::is_always_lock_free);

Link::Link(Link&& other) noexcept
    : socket_(std::move(other.socket_)),
      memory_(std::exchange(other.memory_, nullptr)),
      offered_(std::exchange(other.offered_, -1)) {}

Link& Link::operator=(Link&& other) noexcept {
  if (this == &other) return *this;
  close();
  socket_ = std::move(other.socket_);
  memory_ = std::exchange(other.memory_, nullptr);
  offered_ = std::exchange(other.offered_, -1);
  return *this;
}

void Link::close() {
  socket_.close();
  if (memory_) ::munmap(memory_, sizeof(Memory));
  if (offered_ >= 0) ::close(offered_);
  memory_ = nullptr;
  offered_ = -1;
}

void Link::map(int fd) {
  void* const at = ::mmap(nullptr, sizeof(Memory), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at != MAP_FAILED) memory_ = static_cast<Memory*>(at);
}

void Link::offer_memory(const Wait& wait) {
  Offer offer;
  if (may_share(socket_)) {
    const uint64_t number = random_number();
    offered_ = ::memfd_create(name_of(number).c_str(), MFD_CLOEXEC);
    // Its pages are there from now on: memory that ran out later would end the process.
    if (offered_ >= 0 && ::posix_fallocate(offered_, 0, sizeof(Memory)) == 0) offer = {::getpid(), offered_, number};
  }
  socket_.send(&offer, sizeof offer, wait);
}

void Link::answer_offer(const Wait& wait) {
  Offer offer;
  socket_.receive(&offer, sizeof offer, wait);
  if (offer.fd >= 0 && may_share(socket_)) {
    const int fd = open_offered(offer);
    if (fd >= 0) {
      map(fd);
      ::close(fd);
    }
  }
  const char taken = memory_ ? 1 : 0;
  socket_.send(&taken, 1, wait);
}

void Link::take_answer(const Wait& wait) {
  char taken = 0;
  socket_.receive(&taken, 1, wait);
  if (taken) {
    map(offered_);
    if (!memory_) throw ConnectionError(peer() + ": the memory that it shares cannot be mapped");
  }
  if (offered_ >= 0) ::close(std::exchange(offered_, -1));
}

// Those that came while nobody slept, too. ConnectionError when the other is gone.
void Link::take_wakes() {
  char wakes[64];
  while (socket_.receive_some(wakes, sizeof wakes) == sizeof wakes) {
  }
}

// One that is gone has all it needs, or is noticed where something of it is waited for.
void Link::wake() {
  const char one = 1;
  try {
    socket_.send_some(&one, 1);
  } catch (const ConnectionError&) {
  }
}

size_t Link::send_some(const void* bytes, size_t size) {
  if (!memory_) return socket_.send_some(bytes, size);
  const char* from = static_cast<const char*>(bytes);
  size_t sent = 0;
  while (sent < size) {
    const uint64_t written = memory_->written.load(std::memory_order_relaxed);
    const uint64_t used = written - memory_->read.load(std::memory_order_acquire);
    if (used > kBytes) throw ConnectionError(peer() + ": the memory that it shares is broken");
    const size_t at = written % kBytes, n = std::min({size - sent, kBytes - used, kBytes - at, kChunk});
    if (n == 0) break;
    std::memcpy(memory_->bytes + at, from + sent, n);
    memory_->written.store(written + n, std::memory_order_seq_cst);
    sent += n;
    if (memory_->reader_sleeps.load(std::memory_order_seq_cst) && memory_->reader_sleeps.exchange(0)) wake();
  }
  if (sent == 0) take_wakes();
  return sent;
}

size_t Link::receive_some(void* bytes, size_t size) {
  if (!memory_) return socket_.receive_some(bytes, size);
  char* const to = static_cast<char*>(bytes);
  size_t received = 0;
  while (received < size) {
    const uint64_t read = memory_->read.load(std::memory_order_relaxed);
    const uint64_t there = memory_->written.load(std::memory_order_acquire) - read;
    if (there > kBytes) throw ConnectionError(peer() + ": the memory that it shares is broken");
    const size_t at = read % kBytes, n = std::min({size - received, static_cast<size_t>(there), kBytes - at});
    if (n == 0) break;
    std::memcpy(to + received, memory_->bytes + at, n);
    memory_->read.store(read + n, std::memory_order_seq_cst);
    received += n;
    if (memory_->writer_sleeps.load(std::memory_order_seq_cst) && memory_->writer_sleeps.exchange(0)) wake();
  }
  if (received == 0) take_wakes();
  return received;
}

std::optional<Ready> Link::wait_to_send() {
  if (!memory_) return Ready{socket_.fd(), POLLOUT};
  memory_->writer_sleeps.store(1, std::memory_order_seq_cst);
  if (memory_->written.load() - memory_->read.load(std::memory_order_seq_cst) == kBytes)
    return Ready{socket_.fd(), POLLIN};
  memory_->writer_sleeps.store(0);
  return std::nullopt;
}

std::optional<Ready> Link::wait_to_receive() {
  if (!memory_) return Ready{socket_.fd(), POLLIN};
  memory_->reader_sleeps.store(1, std::memory_order_seq_cst);
  if (memory_->written.load(std::memory_order_seq_cst) == memory_->read.load()) return Ready{socket_.fd(), POLLIN};
  memory_->reader_sleeps.store(0);
  return std::nullopt;
}

}  // namespace mox::cluster
