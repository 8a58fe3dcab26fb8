#include "launch/host.h"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <sstream>

#include "launch/agent.h"
#include "moxing/error.h"

namespace mox::launch {
namespace {

std::string own_path() {
  char path[PATH_MAX];
  const ssize_t size = ::readlink("/proc/self/exe", path, sizeof path);
  return size > 0 ? std::string(path, static_cast<size_t>(size)) : "mox";
}

std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? "'\\''" : std::string(1, c);
  return result + "'";
}

// Words that every login shell reads alike, csh and fish too.
std::string remote_command(const Options& options) {
  if (!options.remote_mox.empty()) return "exec " + quoted(options.remote_mox) + " launch --agent";
  const std::string path = quoted(own_path());
  return "test -x " + path + " && exec " + path + " launch --agent; exec mox launch --agent";
}

std::vector<std::string> ssh_words(const Options& options, const std::string& host) {
  std::vector<std::string> words;
  std::istringstream text(options.ssh_command);
  for (std::string word; text >> word;) words.push_back(word);
  // No questions; a connection that is cut off ends within a minute.
  for (const char* setting :
       {"BatchMode=yes", "RequestTTY=no", "ConnectTimeout=20", "ServerAliveInterval=15", "ServerAliveCountMax=4"}) {
    words.push_back("-o");
    words.push_back(setting);
  }
  words.push_back(host);
  words.push_back(remote_command(options));
  return words;
}

[[noreturn]] void become_ssh(const std::vector<std::string>& words, int in, int out, int err, int report) {
  ::setpgid(0, 0);  // a Ctrl-C at the terminal is the launcher's
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  ::dup2(in, STDIN_FILENO);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(err, STDERR_FILENO);
  reset_signals();
  ::execvp(argv[0], argv.data());
  const int error = errno;
  if (::write(report, &error, sizeof error) != sizeof error) ::_exit(125);
  ::_exit(127);
}

}  // namespace

void start_local_agent(Host* host) {
  Pipe to = make_pipe(), from = make_pipe();
  const pid_t pid = ::fork();
  if (pid < 0) throw_errno("cannot start another process");
  if (pid == 0) {
    ::setpgid(0, 0);
    to.write.reset();
    from.read.reset();
    int code = 1;
    try {
      code = run_agent(std::move(to.read), std::move(from.write), AgentPlace::kSameHost);
    } catch (const std::exception& e) {
      const std::string text = std::string("mox launch: ") + e.what() + "\n";
      if (::write(STDERR_FILENO, text.data(), text.size()) < 0) code = 1;
    }
    ::_exit(code);  // what the launcher has in its buffers is not ours to write
  }
  host->pid = pid;
  host->channel = Channel(std::move(from.read), std::move(to.write));
}

void start_remote_agent(const Options& options, Host* host) {
  const std::vector<std::string> words = ssh_words(options, host->name);
  Pipe to = make_pipe(), from = make_pipe(), errors = make_pipe(), report = make_pipe();
  const pid_t pid = ::fork();
  if (pid < 0) throw_errno("cannot start another process");
  if (pid == 0) become_ssh(words, to.read.get(), from.write.get(), errors.write.get(), report.write.get());
  report.write.reset();
  int error = 0;
  if (::read(report.read.get(), &error, sizeof error) == sizeof error) {
    ::waitpid(pid, nullptr, 0);
    throw InvalidArgumentError("cannot start '" + words[0] + "' for --hosts: " + std::strerror(error) +
                               "; install ssh, or name it by --ssh_command");
  }
  host->pid = pid;
  host->channel = Channel(std::move(from.read), std::move(to.write));
  host->errors = std::move(errors.read);
  set_nonblocking(host->errors.get());
}

std::string describe_status(int wait_status) {
  if (WIFEXITED(wait_status)) return fmt::format("exit code {}", WEXITSTATUS(wait_status));
  const int signal = WTERMSIG(wait_status);
  const char* name = ::sigabbrev_np(signal);
  return fmt::format("killed by signal {}{}", signal, name ? fmt::format(" (SIG{})", name) : "");
}

int exit_code_of(int wait_status) {
  return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}

}  // namespace mox::launch
