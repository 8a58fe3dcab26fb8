// One started process of a cluster with all that it starts: a session of its own.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "launch/fd.h"
#include "launch/processes.h"

namespace mox::launch {

using Clock = std::chrono::steady_clock;

struct StartRequest {
  std::vector<std::string> command;
  std::vector<std::string> environment;  // "NAME=VALUE", over what the starting process has
  std::string directory;
};

// The program cannot be started: what the shell would exit with (127: not found, 126: found, but no program), and why.
struct StartFailure {
  int exit_code = 127;
  std::string why;
};

class TaskProcess {
 public:
  // Standard input is /dev/null; the process dies with the one that started it.
  static std::optional<TaskProcess> start(const StartRequest& request, StartFailure* failure);

  pid_t pid() const { return pid_; }
  Fd& output() { return output_; }  // what it writes to standard output …
  Fd& errors() { return errors_; }  // … and to standard error; non-blocking

  // `all`: what runs now; it is read once for many tasks.
  // Asks all its processes to end, the first time only; after `grace` they are killed.
  void ask(int signal, Clock::duration grace, const std::vector<ProcessInfo>& all);
  void kill_now(const std::vector<ProcessInfo>& all);
  // What waitpid says, once its first process has ended. That is not waited for yet: its id stays in use, so that no
  // signal for the session can reach a stranger.
  std::optional<int> status();
  // After that: ends what it left behind; true when nothing runs any more. `all` was read later than the status.
  bool sweep(Clock::duration grace, const std::vector<ProcessInfo>& all);
  // When something is to be done though nothing is heard.
  std::optional<Clock::time_point> deadline() const { return kill_at_; }
  // The grace is over, and it was not killed yet.
  bool is_overdue() const { return kill_at_ && !killed_ && Clock::now() >= *kill_at_; }

 private:
  TaskProcess() = default;
  void signal_all(int signal, const std::vector<ProcessInfo>& all) const;

  pid_t pid_ = 0;
  Fd output_, errors_;
  std::optional<int> status_;
  std::optional<Clock::time_point> kill_at_;
  bool killed_ = false, reaped_ = false;
};

// For a process that is about to become another program: no signal blocked, none ignored.
void reset_signals();

// Raises the limit of open files for processes that hold two pipes a task; programs get the old limit back.
void raise_file_limit();

}  // namespace mox::launch
