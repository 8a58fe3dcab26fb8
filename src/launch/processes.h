// What runs on this machine, as /proc tells.
#pragma once

#include <sys/types.h>

#include <vector>

namespace mox::launch {

struct ProcessInfo {
  pid_t pid = 0, parent = 0, session = 0;
  bool zombie = false;  // ended, not yet waited for
};

std::vector<ProcessInfo> all_processes();

// Living processes of a session, and all living descendants of a process (without itself).
std::vector<pid_t> session_members(const std::vector<ProcessInfo>& all, pid_t session);
std::vector<pid_t> descendants_of(const std::vector<ProcessInfo>& all, pid_t ancestor);

// The calling process adopts what its descendants leave behind: so none can get away by losing its parent.
void adopt_orphans();
// Waits for adopted processes that have ended, except for those of `keep`.
void reap_orphans(const std::vector<pid_t>& keep);
// SIGTERM to all descendants, SIGKILL to those that are left after `grace_ms`; returns when there are none.
void end_descendants(int grace_ms);

}  // namespace mox::launch
