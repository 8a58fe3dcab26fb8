#include "cluster/socket.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>

namespace mox::cluster {
namespace {

using AddressList = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

std::string reason(int error) { return std::strerror(error); }

AddressList resolve(const Address& address, bool to_listen) {
  addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | (to_listen ? AI_PASSIVE : 0);
  addrinfo* found = nullptr;
  const int code = ::getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
  if (code != 0)
    throw ConnectionError(fmt::format("the host '{}' is not known: {}", address.host,
                                      code == EAI_SYSTEM ? reason(errno) : ::gai_strerror(code)));
  return {found, &::freeaddrinfo};
}

std::string numeric(const sockaddr* address, socklen_t size) {
  char host[NI_MAXHOST], port[NI_MAXSERV];
  if (::getnameinfo(address, size, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0)
    return "an unknown address";
  return std::strchr(host, ':') ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

int milliseconds_left(const Wait& wait) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(wait.until - Clock::now()).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, 3'600'000));
}

// False: the time is over.
bool wait_for_one(int fd, short events, const Wait& wait) {
  std::vector<Ready> ready = {{fd, events}};
  return wait_for(&ready, wait);
}

int new_socket(int family) {
  const int fd = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) throw ConnectionError("no socket: " + reason(errno));
  return fd;
}

}  // namespace

ConnectionError::~ConnectionError() = default;
Interrupted::~Interrupted() = default;

std::string Address::text() const {
  return host.find(':') != std::string::npos ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

Address parse_address(const std::string& text) {
  const size_t colon = text.rfind(':');
  Address address;
  if (colon != std::string::npos) {
    address.host = text.substr(0, colon);
    if (address.host.size() > 2 && address.host.front() == '[' && address.host.back() == ']')
      address.host = address.host.substr(1, address.host.size() - 2);
    const char* end = text.data() + text.size();
    const auto [at, error] = std::from_chars(text.data() + colon + 1, end, address.port);
    if (error == std::errc() && at == end && address.port > 0 && !address.host.empty()) return address;
  }
  throw InvalidArgumentError(
      fmt::format("'{}' is no address of a host; expected host:port, a port from 1 to 65535", text));
}

Interrupt::Interrupt() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (fd_ < 0) throw RunError("no descriptor is left: " + reason(errno));
}

Interrupt::~Interrupt() { ::close(fd_); }

void Interrupt::set() {
  set_ = true;
  ::eventfd_write(fd_, 1);
}

void Interrupt::clear() {
  set_ = false;
  eventfd_t value;
  ::eventfd_read(fd_, &value);
}

bool wait_for(std::vector<Ready>* ready, const Wait& wait) {
  std::vector<pollfd> fds;
  for (const Ready& r : *ready) fds.push_back({r.fd, r.events, 0});
  if (wait.interrupt) fds.push_back({wait.interrupt->fd(), POLLIN, 0});
  for (;;) {
    const int n = ::poll(fds.data(), fds.size(), milliseconds_left(wait));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw RunError("poll: " + reason(errno));
    if (wait.interrupt && fds.back().revents) throw Interrupted("broken off");
    for (size_t i = 0; i < ready->size(); ++i) (*ready)[i].revents = fds[i].revents;
    if (n > 0) return true;
    if (Clock::now() >= wait.until) return false;
  }
}

Socket::Socket(int fd, std::string peer) : fd_(fd), peer_(std::move(peer)) {
  const int one = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

Socket& Socket::operator=(Socket&& other) noexcept {
  if (this == &other) return *this;
  close();
  fd_ = std::exchange(other.fd_, -1);
  peer_ = std::move(other.peer_);
  return *this;
}

void Socket::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

size_t Socket::send_some(const void* bytes, size_t size) {
  for (;;) {
    const ssize_t n = ::send(fd_, bytes, size, MSG_NOSIGNAL);
    if (n >= 0) return static_cast<size_t>(n);
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return 0;
    throw ConnectionError(fmt::format("{}: {}", peer_, reason(errno)));
  }
}

size_t Socket::receive_some(void* bytes, size_t size) {
  for (;;) {
    const ssize_t n = ::recv(fd_, bytes, size, 0);
    if (n > 0) return static_cast<size_t>(n);
    if (n == 0) throw ConnectionError(peer_ + ": it closed the connection");
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return 0;
    throw ConnectionError(fmt::format("{}: {}", peer_, reason(errno)));
  }
}

void Socket::send(const void* bytes, size_t size, const Wait& wait) {
  const char* from = static_cast<const char*>(bytes);
  for (size_t sent = 0; sent < size;) {
    const size_t n = send_some(from + sent, size - sent);
    sent += n;
    if (n == 0 && !wait_for_one(fd_, POLLOUT, wait)) throw ConnectionError(peer_ + ": it takes no bytes");
  }
}

void Socket::receive(void* bytes, size_t size, const Wait& wait) {
  char* to = static_cast<char*>(bytes);
  for (size_t received = 0; received < size;) {
    const size_t n = receive_some(to + received, size - received);
    received += n;
    if (n == 0 && !wait_for_one(fd_, POLLIN, wait)) throw ConnectionError(peer_ + ": it does not answer");
  }
}

Socket connect_to(const Address& address, const Wait& wait) {
  const AddressList list = resolve(address, false);
  std::string why;
  for (const addrinfo* at = list.get(); at; at = at->ai_next) {
    Socket socket(new_socket(at->ai_family), address.text());
    int error = ::connect(socket.fd(), at->ai_addr, at->ai_addrlen) == 0 ? 0 : errno;
    if (error == EINPROGRESS) {
      socklen_t size = sizeof error;
      if (!wait_for_one(socket.fd(), POLLOUT, wait))
        error = ETIMEDOUT;
      else
        ::getsockopt(socket.fd(), SOL_SOCKET, SO_ERROR, &error, &size);
    }
    if (error == 0) return socket;
    why = reason(error);
  }
  throw ConnectionError(fmt::format("{}: {}", address.text(), why));
}

Listener::Listener(const Address& address, const std::string& flag) : address_(address) {
  AddressList list(nullptr, &::freeaddrinfo);
  try {
    list = resolve(address, true);
  } catch (const ConnectionError& e) {
    throw InvalidArgumentError(fmt::format("{} is {}: {}", flag, address.text(), e.what()));
  }
  fd_ = new_socket(list->ai_family);
  // As after a crash: connections of the process before may linger. Two that listen are refused all the same.
  const int one = 1;
  ::setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (::bind(fd_, list->ai_addr, list->ai_addrlen) != 0 || ::listen(fd_, 1024) != 0) {
    const int error = errno;
    ::close(fd_);
    std::string advice;
    if (error == EADDRINUSE)
      advice = "; another process listens there: two with the same --task_index, or an earlier run that has not ended";
    if (error == EADDRNOTAVAIL) advice = "; this host has no such address: is --task_index right for this host?";
    throw InvalidArgumentError(
        fmt::format("{} is {}, where this process cannot listen: {}{}", flag, address.text(), reason(error), advice));
  }
  sockaddr_storage bound = {};
  socklen_t size = sizeof bound;
  if (address_.port == 0 && ::getsockname(fd_, reinterpret_cast<sockaddr*>(&bound), &size) == 0) {
    const std::string text = numeric(reinterpret_cast<sockaddr*>(&bound), size);
    address_.port = static_cast<uint16_t>(std::stoi(text.substr(text.rfind(':') + 1)));
  }
}

Listener::~Listener() { ::close(fd_); }

Socket Listener::accept(const Wait& wait) {
  while (wait_for_one(fd_, POLLIN, wait)) {
    sockaddr_storage from = {};
    socklen_t size = sizeof from;
    const int fd = ::accept4(fd_, reinterpret_cast<sockaddr*>(&from), &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) return {fd, numeric(reinterpret_cast<sockaddr*>(&from), size)};
    // ECONNABORTED and its like concern one connection; without descriptors there is nothing to do but wait.
    if (errno == EMFILE || errno == ENFILE) {
      std::vector<Ready> none;
      wait_for(&none, for_seconds(0.1, wait.interrupt));
    }
  }
  return {};
}

}  // namespace mox::cluster
