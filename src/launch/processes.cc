#include "launch/processes.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>

#include "base/text.h"
#include "launch/fd.h"

namespace mox::launch {
namespace {

// The next number of the text; false where there is none.
bool next_number(std::string_view* text, int* number) {
  text->remove_prefix(std::min(text->find_first_not_of(' '), text->size()));
  const char* const begin = text->data();
  const auto [stop, error] = std::from_chars(begin, begin + text->size(), *number);
  text->remove_prefix(static_cast<size_t>(stop - begin));
  return error == std::errc();
}

// "PID (NAME) STATE PARENT GROUP SESSION …"; NAME may hold anything, also brackets.
bool read_info(pid_t pid, ProcessInfo* info) {
  char path[40], text[512];
  std::snprintf(path, sizeof path, "/proc/%d/stat", pid);
  const Fd file(::open(path, O_RDONLY | O_CLOEXEC));
  if (!file.open()) return false;
  const ssize_t size = ::read(file.get(), text, sizeof text);
  if (size <= 0) return false;
  std::string_view rest(text, static_cast<size_t>(size));
  const size_t name_end = rest.rfind(')');
  if (name_end == std::string_view::npos || rest.size() < name_end + 3) return false;
  const char state = rest[name_end + 2];
  rest.remove_prefix(name_end + 3);
  int parent = 0, group = 0, session = 0;
  if (!next_number(&rest, &parent) || !next_number(&rest, &group) || !next_number(&rest, &session)) return false;
  *info = {pid, parent, session, state == 'Z' || state == 'X'};
  return true;
}

}  // namespace

std::vector<ProcessInfo> all_processes() {
  std::vector<ProcessInfo> all;
  DIR* folder = ::opendir("/proc");
  if (!folder) return all;
  while (const dirent* entry = ::readdir(folder)) {
    ProcessInfo info;
    const int pid = parse_whole<int>(entry->d_name).value_or(0);
    if (pid > 0 && read_info(pid, &info)) all.push_back(info);
  }
  ::closedir(folder);
  return all;
}

std::vector<pid_t> session_members(const std::vector<ProcessInfo>& all, pid_t session) {
  std::vector<pid_t> members;
  for (const ProcessInfo& info : all)
    if (info.session == session && !info.zombie) members.push_back(info.pid);
  return members;
}

std::vector<pid_t> descendants_of(const std::vector<ProcessInfo>& all, pid_t ancestor) {
  std::vector<pid_t> family = {ancestor}, living;
  for (size_t i = 0; i < family.size(); ++i) {
    for (const ProcessInfo& info : all) {
      if (info.parent != family[i] || std::find(family.begin(), family.end(), info.pid) != family.end()) continue;
      family.push_back(info.pid);
      if (!info.zombie) living.push_back(info.pid);
    }
  }
  return living;
}

void adopt_orphans() { ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }

void reap_orphans(const std::vector<pid_t>& keep) {
  for (const ProcessInfo& info : all_processes())
    if (info.zombie && info.parent == ::getpid() && std::find(keep.begin(), keep.end(), info.pid) == keep.end())
      ::waitpid(info.pid, nullptr, WNOHANG);
}

void end_descendants(int grace_ms) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(grace_ms);
  std::vector<pid_t> asked;
  for (;;) {
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    const std::vector<pid_t> living = descendants_of(all_processes(), ::getpid());
    if (living.empty()) return;
    const auto now = std::chrono::steady_clock::now();
    const bool late = now >= deadline;
    if (now >= deadline + std::chrono::seconds(5)) return;  // one that hangs in the kernel is not waited for
    for (const pid_t pid : living) {
      if (late) ::kill(pid, SIGKILL);
      if (late || std::find(asked.begin(), asked.end(), pid) != asked.end()) continue;
      ::kill(pid, SIGTERM);
      ::kill(pid, SIGCONT);
      asked.push_back(pid);
    }
    ::poll(nullptr, 0, 20);
  }
}

}  // namespace mox::launch
