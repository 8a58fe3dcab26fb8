// A host with an agent on it, as the launcher sees it.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "launch/options.h"
#include "launch/output.h"
#include "launch/task_process.h"
#include "launch/wire.h"

namespace mox::launch {

struct Host {
  std::string name;  // empty: this one
  pid_t pid = 0;     // of the agent, or of ssh
  Channel channel;
  Fd errors;  // what ssh and the agent print to standard error
  std::optional<LineWriter> error_lines;
  Tail error_tail;
  bool ready = false;                       // it has told its ports
  bool lost = false;                        // nothing more comes from it
  std::optional<int> status;                // what waitpid said of `pid`
  std::optional<Clock::time_point> end_at;  // since when its stream or its process has ended

  bool is_remote() const { return !name.empty(); }
};

// A child of this process that runs the agent.
void start_local_agent(Host* host);
// `mox launch --agent` on `host->name` behind ssh. The command line has nothing of the user's program: that goes
// through the connection, so no shell sees it, and no token shows in a list of processes. mox::Error when ssh cannot be
// started.
void start_remote_agent(const Options& options, Host* host);

// "exit code 255", "killed by signal 9 (SIGKILL)".
std::string describe_status(int wait_status);
int exit_code_of(int wait_status);

}  // namespace mox::launch
