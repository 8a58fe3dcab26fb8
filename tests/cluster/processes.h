// Processes of a test: children that run a function, can be killed and stopped, and tell what they did by a pipe.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace mox::cluster {

class Process {
 public:
  // `run` gets a function that sends a line to the test. What it throws is sent as "error: …".
  explicit Process(const std::function<void(const std::function<void(const std::string&)>& say)>& run) {
    int pipe_fds[2];
    if (::pipe2(pipe_fds, O_CLOEXEC) != 0) std::abort();
    pid_ = ::fork();
    if (pid_ == 0) {
      ::close(pipe_fds[0]);
      const auto say = [fd = pipe_fds[1]](const std::string& line) {
        const std::string text = line + "\n";
        if (::write(fd, text.data(), text.size()) < 0) ::_exit(3);
      };
      int code = 0;
      try {
        run(say);
      } catch (const std::exception& e) {
        say(std::string("error: ") + e.what());
        code = 1;
      }
      ::_exit(code);
    }
    ::close(pipe_fds[1]);
    fd_ = pipe_fds[0];
  }
  Process(Process&& other) noexcept
      : pid_(std::exchange(other.pid_, -1)), fd_(std::exchange(other.fd_, -1)), input_(std::move(other.input_)) {}
  Process& operator=(Process&&) = delete;
  ~Process() {
    if (pid_ > 0) kill(SIGKILL);
    if (fd_ >= 0) ::close(fd_);
  }

  void signal(int number) { ::kill(pid_, number); }
  void kill(int number) {
    ::kill(pid_, number);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

  // The next line; "" at its end, "no line within …" when none comes.
  std::string line(double seconds = 60) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
    for (;;) {
      const size_t end = input_.find('\n');
      if (end != std::string::npos) {
        const std::string line = input_.substr(0, end);
        input_.erase(0, end + 1);
        return line;
      }
      pollfd ready = {fd_, POLLIN, 0};
      if (std::chrono::steady_clock::now() > until) return "no line within the time";
      if (::poll(&ready, 1, 100) <= 0) continue;
      char buffer[4096];
      const ssize_t n = ::read(fd_, buffer, sizeof buffer);
      if (n <= 0) return "";
      input_.append(buffer, static_cast<size_t>(n));
    }
  }
  // Reads on until a line contains `text`; returns it, or what came last.
  std::string line_with(const std::string& text, double seconds = 60) {
    std::string last;
    do {
      last = line(seconds);
    } while (!last.empty() && last.find(text) == std::string::npos && last != "no line within the time");
    return last;
  }

 private:
  pid_t pid_ = -1;
  int fd_ = -1;
  std::string input_;
};

// "127.0.0.1:port" of ports that are free now.
inline std::vector<std::string> free_addresses(int count) {
  std::vector<std::string> addresses;
  std::vector<int> held;
  for (int i = 0; i < count; ++i) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ::bind(fd, reinterpret_cast<sockaddr*>(&address), size);
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    addresses.push_back("127.0.0.1:" + std::to_string(ntohs(address.sin_port)));
    held.push_back(fd);
  }
  for (const int fd : held) ::close(fd);
  return addresses;
}

}  // namespace mox::cluster
