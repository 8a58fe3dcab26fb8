#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>

#include "command.h"
#include "moxing/error.h"
#include "moxing/version.h"
#include "tensorflow.h"

namespace mox::cli {
namespace {

std::string command_library() { return library_folder() + "/libmox_commands.so"; }

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

std::string what_to_install() {
  const std::string wanted = tensorflow_version();
  return "pip install tensorflow-cpu==" + wanted + " (for GPUs tensorflow[and-cuda]==" + wanted + ")";
}

// Before it is loaded: another release lacks functions, which the loader would tell by their symbols.
void check_release(const TensorFlow& found) {
  if (found.version.empty() || release(found.version) == release(tensorflow_version())) return;
  throw Error("the TensorFlow in " + found.folder + " is " + found.version + ", MoXing is built for " +
              tensorflow_version() + ": " + what_to_install() + ", or name another folder in TENSORFLOW_DIR");
}

void* load_engine_of(const TensorFlow& tensorflow) {
  // Loaded before what asks for them by name.
  for (const char* name : {"/libtensorflow_framework.so.2", "/libtensorflow_cc.so.2"})
    if (!load_quietly(tensorflow.folder + name, RTLD_LAZY | RTLD_GLOBAL)) return nullptr;
  return load_quietly(command_library(), RTLD_LAZY | RTLD_GLOBAL);
}

void* engine() {
  static void* library = nullptr;
  if (library) return library;
  // Where the loader finds TensorFlow itself, nobody need be asked.
  const char* named = std::getenv("TENSORFLOW_DIR");
  if (!named || !*named) library = load_quietly(command_library(), RTLD_LAZY | RTLD_GLOBAL);
  if (library) return library;
  const char* reason = dlerror();
  std::string why = reason ? reason : "";
  const auto tensorflow = find_tensorflow();
  if (tensorflow) {
    check_release(*tensorflow);
    library = load_engine_of(*tensorflow);
    if (library) return library;
    reason = dlerror();
    why = (reason ? reason : why) + ("; TensorFlow " + tensorflow->version) + " of " + tensorflow->folder +
          " was tried, MoXing is built for " + tensorflow_version();
    throw Error("cannot load the engine: " + why);
  }
  throw Error("cannot load the engine: " + why + "; it needs TensorFlow " + tensorflow_version() + ": " +
              what_to_install() + " into the active Python, or name its folder in TENSORFLOW_DIR");
}

}  // namespace

void* load_quietly(const std::string& path, int flags) {
  QuietStderr quiet;
  return dlopen(path.c_str(), flags);
}

void load_engine() { engine(); }

int run_engine_command(const std::string& name, const std::vector<std::string>& args) {
  unpack_data_ahead(name, args);  // loading is one thread's work
  void* library = engine();
  using Entry = int (*)(const std::string&, const std::vector<std::string>&);
  auto entry = reinterpret_cast<Entry>(dlsym(library, "mox_run_command"));
  if (!entry)
    throw Error(command_library() + " does not fit this program: " + dlerror() + "; install both from one build");
  return entry(name, args);
}

}  // namespace mox::cli
