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

void* load(const std::string& path) {
  QuietStderr quiet;
  return dlopen(path.c_str(), RTLD_LAZY | RTLD_GLOBAL);
}

}  // namespace

int run_engine_command(const std::string& name, const std::vector<std::string>& args) {
  const std::string path = command_library();
  void* library = load(path);
  if (!library)
    throw Error("cannot load the engine: " + std::string(dlerror()) + "; is tensorflow-cpu 2.21.0 installed?");
  using Entry = int (*)(const std::string&, const std::vector<std::string>&);
  auto entry = reinterpret_cast<Entry>(dlsym(library, "mox_run_command"));
  if (!entry) throw Error(path + " does not fit this program: " + dlerror() + "; install both from one build");
  return entry(name, args);
}

}  // namespace mox::cli
