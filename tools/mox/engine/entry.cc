// The command library's entry: one table, one line a command.
#include "engine/entry.h"

#include "moxing/error.h"
#include "moxing/export.h"

namespace mox::cli {
namespace {

struct EngineCommand {
  const char* name;
  CommandFn run;
};

constexpr EngineCommand kEngineCommands[] = {
    {"train", run_train}, {"eval", run_eval}, {"predict", run_predict}, {"export", run_export},
    {"nets", run_nets},   {"lr", run_lr},     {"data", run_data},
};

}  // namespace
}  // namespace mox::cli

extern "C" MOX_EXPORT int mox_run_command(const std::string& name, const std::vector<std::string>& args) {
  for (const auto& command : mox::cli::kEngineCommands)
    if (name == command.name) return command.run(args);
  throw mox::InvalidArgumentError("the command library has no command '" + name + "'; it is older than the program");
}
