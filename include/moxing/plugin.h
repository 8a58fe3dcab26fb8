// Libraries of somebody else that add networks, optimizers, data sets, preprocessing and file systems: docs/adding.md.
#pragma once

#include <string>

#include "moxing/export.h"
#include "moxing/version.h"

namespace mox {

// What a plugin tells about itself. MOX_PLUGIN writes it.
struct PluginInfo {
  const char* moxing_version;  // whose headers it was compiled with
  void (*register_all)();      // calls register_network, register_optimizer, …
};

// Loads the library at `path` and has it register what it brings; nothing when it is loaded already. From any thread,
// before or after the first look-up. NotFoundError when there is no such file. InvalidArgumentError, which says what to
// do, when it is no plugin, was built with another version, or registers a name that is taken: what it registered
// before that stays.
MOX_EXPORT void load_plugin(const std::string& path);
// The same for each of the list in the environment's MOX_PLUGINS, separated by ':'. The program does it before each
// command, Python when moxing.tensorflow is imported.
MOX_EXPORT void load_plugins_of_environment();

}  // namespace mox

// Makes a library a plugin: `MOX_PLUGIN(add_mine)` once, at namespace scope, where `void add_mine()` registers.
#define MOX_PLUGIN(register_all)                                         \
  extern "C" MOX_EXPORT const mox::PluginInfo* mox_plugin() {            \
    static constexpr mox::PluginInfo info{MOXING_VERSION, register_all}; \
    return &info;                                                        \
  }
