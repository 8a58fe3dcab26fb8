#include "python.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

#include "moxing/error.h"

extern char** environ;

namespace mox::cli {
namespace {

namespace fs = std::filesystem;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

bool is_program(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored) && access(path.c_str(), X_OK) == 0;
}

// The program `name`, which execvp would take; empty when there is none.
std::string in_path(const std::string& name) {
  if (name.find('/') != std::string::npos) return is_program(name) ? name : "";
  std::string folders = environment("PATH");
  for (size_t begin = 0; begin <= folders.size();) {
    const size_t end = std::min(folders.find(':', begin), folders.size());
    const fs::path candidate = fs::path(folders.substr(begin, end - begin)) / name;
    if (is_program(candidate)) return candidate.string();
    begin = end + 1;
  }
  return "";
}

std::string read_all(int file) {
  std::string text;
  std::array<char, 4096> part;
  for (;;) {
    const ssize_t count = read(file, part.data(), part.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return text;
    text.append(part.data(), static_cast<size_t>(count));
  }
}

}  // namespace

std::string find_python() {
  if (const std::string named = environment("MOX_PYTHON"); !named.empty()) {
    std::string python = in_path(named);
    if (python.empty())
      throw NotFoundError(fmt::format("MOX_PYTHON is '{}', which is no program; give the path of a Python", named));
    return python;
  }
  if (const std::string venv = environment("VIRTUAL_ENV"); !venv.empty()) {
    std::string python = in_path(venv + "/bin/python");
    if (!python.empty()) return python;
  }
  std::string python = in_path("python3");
  if (python.empty())
    throw NotFoundError(
        "found no Python: neither in MOX_PYTHON, nor of an active virtual environment, nor python3 in PATH");
  return python;
}

void add_package_of_build_tree() {
  const fs::path package = fs::read_symlink("/proc/self/exe").parent_path().parent_path() / "python";
  std::error_code ignored;
  if (!fs::is_directory(package / "moxing" / "v1", ignored)) return;
  const std::string others = environment("PYTHONPATH");
  setenv("PYTHONPATH", (package.string() + (others.empty() ? "" : ":" + others)).c_str(), 1);
}

PythonProcess::PythonProcess(const std::string& python, const std::string& code, const std::vector<std::string>& args) {
  std::array<int, 2> in, out;
  if (pipe2(in.data(), O_CLOEXEC) != 0) throw Error(fmt::format("no pipe: {}", std::strerror(errno)));
  if (pipe2(out.data(), O_CLOEXEC) != 0) {
    const std::string why = std::strerror(errno);
    for (const int end : in) close(end);
    throw Error("no pipe: " + why);
  }
  to_ = in[1];
  from_ = out[0];
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
  std::vector<const char*> words = {python.c_str(), "-c", code.c_str()};
  for (const std::string& arg : args) words.push_back(arg.c_str());
  words.push_back(nullptr);
  const int failed = posix_spawn(&child_, python.c_str(), &actions, nullptr, const_cast<char**>(words.data()), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(in[0]);
  close(out[1]);
  if (failed == 0) return;
  close(to_);
  close(from_);
  throw Error(fmt::format("cannot start {}: {}", python, std::strerror(failed)));
}

PythonProcess::~PythonProcess() {
  if (to_ >= 0) close(to_);
  if (from_ >= 0) close(from_);
  if (child_ <= 0) return;
  kill(child_, SIGTERM);
  waitpid(child_, nullptr, 0);
}

void PythonProcess::write(const void* data, size_t size) {
  const char* at = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t count = ::write(to_, at, size);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      finish();  // tells why
      throw Error("the Python that was started takes no more data");
    }
    at += count;
    size -= static_cast<size_t>(count);
  }
}

void PythonProcess::read(void* data, size_t size) {
  char* at = static_cast<char*>(data);
  while (size > 0) {
    const ssize_t count = ::read(from_, at, size);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      finish();  // tells why
      throw Error("the Python that was started says no more");
    }
    at += count;
    size -= static_cast<size_t>(count);
  }
}

void PythonProcess::finish() {
  close(std::exchange(to_, -1));
  int status = 0;
  while (waitpid(child_, &status, 0) < 0 && errno == EINTR) {
  }
  child_ = -1;
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    throw Error(WIFEXITED(status)
                    ? fmt::format("the Python that was started ended with {}: see above", WEXITSTATUS(status))
                    : fmt::format("the Python that was started was ended by signal {}", WTERMSIG(status)));
}

std::optional<std::string> ask_python(const std::string& python, const std::string& code) {
  std::array<int, 2> ends;
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return std::nullopt;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  const std::array<const char*, 4> words = {python.c_str(), "-c", code.c_str(), nullptr};
  pid_t child = 0;
  const int failed = posix_spawn(&child, python.c_str(), &actions, nullptr, const_cast<char**>(words.data()), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  std::optional<std::string> answer;
  if (failed == 0) answer = read_all(ends[0]);
  close(ends[0]);
  if (failed != 0) return std::nullopt;
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? answer : std::nullopt;
}

}  // namespace mox::cli
