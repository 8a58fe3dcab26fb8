#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "command.h"
#include "moxing/error.h"

namespace mox::cli {
namespace {

// The library lies in ../lib of the program, in the build tree and when installed.
std::string command_library() {
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe");
  return (program.parent_path().parent_path() / "lib" / "libmox_commands.so").string();
}

// TensorFlow greets on standard error while it is loaded, before any setting can reach it; TF_CPP_MIN_LOG_LEVEL=0 lets
// it speak.
class QuietStderr {
 public:
  QuietStderr() {
    if (const char* level = std::getenv("TF_CPP_MIN_LOG_LEVEL"); level && std::string(level) == "0") return;
    const int null = open("/dev/null", O_WRONLY);
    saved_ = dup(STDERR_FILENO);
    dup2(null, STDERR_FILENO);
    close(null);
  }
  ~QuietStderr() {
    if (saved_ < 0) return;
    dup2(saved_, STDERR_FILENO);
    close(saved_);
  }

 private:
  int saved_ = -1;
};

void* engine() {
  static void* library = nullptr;
  if (!library) library = load_quietly(command_library(), RTLD_LAZY | RTLD_GLOBAL);
  if (!library)
    throw Error("cannot load the engine: " + std::string(dlerror()) + "; is tensorflow-cpu 2.21.0 installed?");
  return library;
}

}  // namespace

void* load_quietly(const std::string& path, int flags) {
  QuietStderr quiet;
  return dlopen(path.c_str(), flags);
}

void load_engine() { engine(); }

int run_engine_command(const std::string& name, const std::vector<std::string>& args) {
  void* library = engine();
  using Entry = int (*)(const std::string&, const std::vector<std::string>&);
  auto entry = reinterpret_cast<Entry>(dlsym(library, "mox_run_command"));
  if (!entry)
    throw Error(command_library() + " does not fit this program: " + dlerror() + "; install both from one build");
  return entry(name, args);
}

}  // namespace mox::cli
