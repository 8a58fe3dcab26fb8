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

  // Asks all its processes to end, the first time only; after `grace` they are killed.
  void ask(int signal, Clock::duration grace);
  void kill_now();
  // What waitpid says, once its first process has ended. That is not waited for yet: its id stays in use, so that no
  // signal for the session can reach a stranger.
  std::optional<int> status();
  // After that: ends what it left behind; true when nothing runs any more.
  bool sweep(Clock::duration grace);
  // When something is to be done though nothing is heard.
  std::optional<Clock::time_point> deadline() const { return kill_at_; }
  // Kills when the grace is over.
  void check_deadline();

 private:
  TaskProcess() = default;
  void signal_all(int signal);

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
