#include "output.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <iostream>

#include "command.h"

namespace mox::cli {

void prepare_output() {
  std::signal(SIGPIPE, SIG_IGN);
  // Writing to what is open for reading alone fails, as it does where nothing is open.
  for (int fd = 0; fd <= STDERR_FILENO; ++fd)
    if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDONLY) != fd) return;
}

int finish_output(const std::string& who, int code) {
  std::cout.flush();
  const bool failed_before = std::ferror(stdout) != 0 || !std::cout;
  errno = 0;
  const bool failed = std::fflush(stdout) != 0 || failed_before;
  if (!failed) return code;
  const std::string why = errno ? std::string(": ") + std::strerror(errno) : "";
  std::fprintf(stderr, "%s: standard output cannot be written%s; is the disk full, or the reader of the pipe gone?\n",
               who.c_str(), why.c_str());
  return code == kDone ? kFailed : code;
}

}  // namespace mox::cli
