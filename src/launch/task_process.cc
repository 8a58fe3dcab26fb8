#include "launch/task_process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

namespace mox::launch {
namespace {

rlimit g_file_limit{};  // the one that this process was started with; 0: not changed

struct ChildError {
  int error;
  bool in_directory;
};

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (const std::string& text : texts) result.push_back(const_cast<char*>(text.c_str()));
  result.push_back(nullptr);
  return result;
}

// In the child: never returns.
[[noreturn]] void become(const StartRequest& request, pid_t parent, int out, int err, int report) {
  ::setsid();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);  // it died before the line above
  if (g_file_limit.rlim_cur) ::setrlimit(RLIMIT_NOFILE, &g_file_limit);
  const int null = ::open("/dev/null", O_RDONLY);
  ::dup2(null, STDIN_FILENO);
  if (null > STDERR_FILENO) ::close(null);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(err, STDERR_FILENO);
  for (const std::string& entry : request.environment) ::putenv(const_cast<char*>(entry.c_str()));
  ChildError error{0, false};
  if (!request.directory.empty() && ::chdir(request.directory.c_str()) != 0) {
    error = {errno, true};
  } else {
    const std::vector<char*> command = pointers(request.command);
    reset_signals();
    ::execvp(command[0], command.data());
    error.error = errno;
  }
  if (::write(report, &error, sizeof error) != sizeof error) ::_exit(125);
  ::_exit(127);
}

StartFailure failure_of(const StartRequest& request, const ChildError& error) {
  const std::string what = error.in_directory ? "folder '" + request.directory + "'" : "'" + request.command[0] + "'";
  return {error.error == ENOENT ? 127 : 126, "cannot start " + what + ": " + std::strerror(error.error)};
}

}  // namespace

void reset_signals() {
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

void raise_file_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  g_file_limit = limit;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

std::optional<TaskProcess> TaskProcess::start(const StartRequest& request, StartFailure* failure) {
  Pipe out = make_pipe(), err = make_pipe(), report = make_pipe();
  const pid_t parent = ::getpid(), pid = ::fork();
  if (pid < 0) throw_errno("cannot start another process");
  if (pid == 0) become(request, parent, out.write.get(), err.write.get(), report.write.get());
  report.write.reset();
  ChildError error{};
  ssize_t size;
  do size = ::read(report.read.get(), &error, sizeof error);  // ends when the program runs
  while (size < 0 && errno == EINTR);
  if (size == sizeof error) {
    ::waitpid(pid, nullptr, 0);
    *failure = failure_of(request, error);
    return std::nullopt;
  }
  TaskProcess process;
  process.pid_ = pid;
  process.output_ = std::move(out.read);
  process.errors_ = std::move(err.read);
  set_nonblocking(process.output_.get());
  set_nonblocking(process.errors_.get());
  return process;
}

void TaskProcess::signal_all(int signal, const std::vector<ProcessInfo>& all) const {
  if (reaped_) return;
  ::kill(-pid_, signal);
  // `timeout` and shells with job control make groups of their own.
  for (const pid_t member : session_members(all, pid_))
    if (::getpgid(member) != pid_ && ::getsid(member) == pid_) ::kill(member, signal);
}

void TaskProcess::ask(int signal, Clock::duration grace, const std::vector<ProcessInfo>& all) {
  if (kill_at_) return;
  kill_at_ = Clock::now() + grace;
  signal_all(signal, all);
  signal_all(SIGCONT, all);  // one that is stopped could not act on it
}

void TaskProcess::kill_now(const std::vector<ProcessInfo>& all) {
  killed_ = true;
  kill_at_ = Clock::now();
  signal_all(SIGKILL, all);
}

std::optional<int> TaskProcess::status() {
  if (status_) return status_;
  siginfo_t info{};
  if (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0)
    return std::nullopt;
  // As waitpid would give it.
  if (info.si_code == CLD_EXITED)
    status_ = (info.si_status & 0xff) << 8;
  else
    status_ = info.si_status & 0x7f;
  return status_;
}

bool TaskProcess::sweep(Clock::duration grace, const std::vector<ProcessInfo>& all) {
  if (reaped_) return true;
  if (session_members(all, pid_).empty()) {
    ::waitpid(pid_, nullptr, 0);
    return reaped_ = true;
  }
  if (killed_)
    signal_all(SIGKILL, all);
  else
    ask(SIGTERM, grace, all);
  return false;
}

}  // namespace mox::launch
