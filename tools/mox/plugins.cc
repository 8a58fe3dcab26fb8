// --plugin=LIBRARY, which every command takes, and MOX_PLUGINS.
#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <string_view>

#include "command.h"
#include "moxing/error.h"
#include "moxing/plugin.h"

namespace mox::cli {
namespace {

constexpr std::string_view kName = "--plugin", kWithValue = "--plugin=";
constexpr char kVariable[] = "MOX_PLUGINS";

// What follows "--" or the first word of `script` is another program's.
std::vector<std::string> taken(const Command& command, std::vector<std::string>* args) {
  std::vector<std::string> paths, rest;
  for (size_t i = 0; i < args->size(); ++i) {
    const std::string& word = (*args)[i];
    const bool is_script = command.run == run_script && !word.starts_with('-');
    if (word == "--" || is_script) {
      rest.insert(rest.end(), args->begin() + static_cast<std::ptrdiff_t>(i), args->end());
      break;
    }
    const bool is_next = word == kName;
    if (!is_next && !word.starts_with(kWithValue)) {
      rest.push_back(word);
      continue;
    }
    if (is_next && ++i == args->size()) throw InvalidArgumentError("--plugin is empty, expected the path of a library");
    paths.push_back(is_next ? (*args)[i] : word.substr(kWithValue.size()));
  }
  *args = std::move(rest);
  return paths;
}

}  // namespace

void take_plugins(const Command& command, std::vector<std::string>* args) {
  const std::vector<std::string> paths = taken(command, args);
  if (command.starts_programs) {
    const char* before = std::getenv(kVariable);
    std::string list = before ? before : "";
    for (const std::string& path : paths)
      list += (list.empty() ? "" : ":") + std::filesystem::absolute(path).string();  // tasks run in another folder
    if (!paths.empty()) setenv(kVariable, list.c_str(), 1);
    return;
  }
  const bool has_some = !paths.empty() || std::getenv(kVariable);
  if (has_some && !command.run) load_engine();  // first, as ever
  load_plugins_of_environment();
  for (const std::string& path : paths) {
    load_quietly(path, RTLD_NOW | RTLD_LOCAL);  // what fails is told below
    load_plugin(path);
  }
}

}  // namespace mox::cli
