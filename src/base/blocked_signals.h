// Code that oneDNN makes at run time keeps numbers below the stack pointer, where the kernel puts what a handler needs:
// a signal in the middle of a product overwrites them, and the product writes where it should not.
#pragma once

#include <csignal>

namespace mox {

// Signals are not delivered to this thread while it lives, nor to threads that begin meanwhile, as long as they do: the
// process's others get them, or they wait. Faults of the thread's own (SIGSEGV, …) are delivered.
class BlockedSignals {
 public:
  BlockedSignals() {
    sigset_t all;
    sigfillset(&all);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS}) sigdelset(&all, fault);
    pthread_sigmask(SIG_BLOCK, &all, &before_);
  }
  ~BlockedSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

 private:
  sigset_t before_;
};

}  // namespace mox
