// The command library's entry: one table, one line a command.
#include "engine/entry.h"

#include <string_view>

#include "moxing/error.h"
#include "moxing/export.h"
#include "run/quiet_runtime.h"
#include "tensorflow/c/c_api.h"

namespace mox::cli {
namespace {

struct EngineCommand {
  const char* name;
  CommandFn run;
};

constexpr EngineCommand kEngineCommands[] = {
    {"train", run_train}, {"eval", run_eval}, {"predict", run_predict}, {"export", run_export},
    {"nets", run_nets},   {"lr", run_lr},     {"data", run_data},       {"report", run_report},
};

constexpr std::string_view kTensorFlow = "2.21.0";  // whose headers and libraries this is built with

// Functions are bound when first called: another TensorFlow would fail in the middle of a run.
void check_runtime_version() {
  if (TF_Version() != kTensorFlow)
    throw Error("the TensorFlow that was found is " + std::string(TF_Version()) + ", MoXing was built with " +
                std::string(kTensorFlow) + "; install tensorflow-cpu==" + std::string(kTensorFlow));
}

}  // namespace
}  // namespace mox::cli

extern "C" MOX_EXPORT int mox_run_command(const std::string& name, const std::vector<std::string>& args) {
  mox::cli::check_runtime_version();
  mox::quiet_runtime();
  for (const auto& command : mox::cli::kEngineCommands)
    if (name == command.name) return command.run(args);
  throw mox::InvalidArgumentError("the command library has no command '" + name + "'; it is older than the program");
}
