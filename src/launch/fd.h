// File descriptors of the launcher: closed by their owner, never inherited by a program that is started.
#pragma once

#include <string>
#include <utility>

namespace mox::launch {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~Fd() { reset(); }

  int get() const { return fd_; }
  bool open() const { return fd_ >= 0; }
  void reset();

 private:
  int fd_ = -1;
};

struct Pipe {
  Fd read;
  Fd write;
};

// Close-on-exec. Throws mox::Error when there are no descriptors left.
Pipe make_pipe();
void set_nonblocking(int fd);

// mox::Error: "WHAT: Too many open files".
[[noreturn]] void throw_errno(const std::string& what);

}  // namespace mox::launch
