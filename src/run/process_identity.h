// Which process this is, for others to see whether it still lives: in locks and marks that it leaves in folders.
#pragma once

#include <string>

namespace mox {

// "host pid space start": four words. `space`: where process numbers mean what they mean here, this boot of this
// machine, this container. `start`: when the process started, in the kernel's ticks.
std::string process_identity();

struct ProcessIdentity {
  std::string host, space, start;
  long pid = 0;

  // Known to have ended. False for one of another machine: nothing is known of it.
  bool is_gone() const;
};

std::string process_space();
// "" when there is no such process.
std::string start_of_process(long pid);

}  // namespace mox
