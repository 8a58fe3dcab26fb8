#include <dlfcn.h>

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

}  // namespace

int run_engine_command(const std::string& name, const std::vector<std::string>& args) {
  const std::string path = command_library();
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (!library) throw Error("cannot load the engine: " + std::string(dlerror()) + "; is tensorflow-cpu 2.21.0 installed?");
  using Entry = int (*)(const std::string&, const std::vector<std::string>&);
  auto entry = reinterpret_cast<Entry>(dlsym(library, "mox_run_command"));
  if (!entry) throw Error(path + " does not fit this program: " + dlerror() + "; install both from one build");
  return entry(name, args);
}

}  // namespace mox::cli
