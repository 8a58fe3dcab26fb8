#include "run/signals.h"

#include <atomic>
#include <cstdint>
#include <cstring>
#include <ctime>

namespace mox {
namespace {

// `timeout` sends its signal to the process and then to the process group: that is one request, not two.
constexpr int64_t kSameRequest = 100'000'000;  // nanoseconds

std::atomic<int> g_received{0};
std::atomic<int64_t> g_first_at{0};  // nanoseconds, 0: none came

int64_t now() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);  // may be called in a handler
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

void on_signal(int signal) {
  int64_t first_at = 0;
  const int64_t time = now();
  const bool first = g_first_at.compare_exchange_strong(first_at, time);
  g_received = signal;
  if (first || time - first_at < kSameRequest) return;
  // Asked twice: what the signal does by default, now.
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

}  // namespace

SignalGuard::SignalGuard() {
  g_received = 0;
  g_first_at = 0;
  struct sigaction action;
  std::memset(&action, 0, sizeof action);
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART | SA_NODEFER;
  sigaction(SIGINT, &action, &old_int_);
  sigaction(SIGTERM, &action, &old_term_);
}

SignalGuard::~SignalGuard() {
  sigaction(SIGINT, &old_int_, nullptr);
  sigaction(SIGTERM, &old_term_, nullptr);
}

int SignalGuard::received() { return g_received; }

}  // namespace mox
