// SIGINT and SIGTERM during a run: the first asks it to stop, the second ends the process at once. Two within a tenth
// of a second are one.
#pragma once

#include <csignal>

#include "moxing/export.h"

namespace mox {

// Catches the signals while it lives, and puts the former handlers back.
class MOX_EXPORT SignalGuard {
 public:
  SignalGuard();
  ~SignalGuard();
  SignalGuard(const SignalGuard&) = delete;
  SignalGuard& operator=(const SignalGuard&) = delete;

  // The signal that came, 0 for none.
  static int received();

 private:
  struct sigaction old_int_, old_term_;
};

}  // namespace mox
