#include "moxing/plugin.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <set>
#include <string_view>

#include "base/mutex.h"
#include "base/registry.h"
#include "moxing/error.h"

namespace mox {
namespace {

namespace fs = std::filesystem;

constexpr char kBuild[] = "build it with the headers of this MoXing, " MOXING_VERSION " (find_package(moxing))";

struct Plugins {
  Mutex mu;
  std::set<void*> loaded MOX_GUARDED_BY(mu);
};

Plugins& plugins() {
  static auto* all = new Plugins;
  return *all;
}

[[noreturn]] void reject(const std::string& path, const std::string& why) {
  throw InvalidArgumentError("plugin '" + path + "': " + why);
}

const PluginInfo& info_of(const std::string& path, void* library) {
  using Describe = const PluginInfo* (*)();
  const auto describe = reinterpret_cast<Describe>(dlsym(library, "mox_plugin"));
  if (!describe)
    reject(path,
           "this library is no plugin: it has no function mox_plugin; say MOX_PLUGIN(FUNCTION) of "
           "<moxing/plugin.h> in it, and " +
               std::string(kBuild));
  const PluginInfo* info = describe();
  if (std::string_view(info->moxing_version) != MOXING_VERSION)
    reject(path, "it was built with MoXing " + std::string(info->moxing_version) + "; " + kBuild);
  return *info;
}

}  // namespace

void load_plugin(const std::string& given) {
  std::error_code error;
  const std::string path = fs::absolute(given, error).string();
  if (given.empty() || !fs::is_regular_file(path, error))
    throw NotFoundError("plugin '" + given + "': there is no such file; give the path of a library");
  if (is_loading_plugin()) reject(path, registering_party() + " loads it; give both to the program instead");
  Plugins& all = plugins();
  MutexLock lock(all.mu);
  // Bound at once: what another version lacks is told now, not in the middle of a run.
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char* why = dlerror();
    reject(path, "cannot be loaded: " + std::string(why ? why : "no reason is known") + "; " + kBuild);
  }
  if (all.loaded.count(library) > 0) return;
  const PluginInfo& info = info_of(path, library);
  const RegisteringParty party("the plugin " + path);
  info.register_all();
  all.loaded.insert(library);
}

void load_plugins_of_environment() {
  const char* list = std::getenv("MOX_PLUGINS");
  std::string_view rest = list ? list : "";
  while (!rest.empty()) {
    const size_t end = std::min(rest.find(':'), rest.size());
    if (end > 0) load_plugin(std::string(rest.substr(0, end)));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
}

}  // namespace mox
