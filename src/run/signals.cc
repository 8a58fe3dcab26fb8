#include "run/signals.h"

#include <atomic>
#include <cstring>

namespace mox {
namespace {

std::atomic<int> g_received{0};

void on_signal(int signal) {
  if (g_received.exchange(signal) != 0) {
    // Asked twice: what the signal does by default, now.
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
}

}  // namespace

SignalGuard::SignalGuard() {
  g_received = 0;
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
