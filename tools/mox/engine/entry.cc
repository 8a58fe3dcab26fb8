// The command library's entry: one table, one line a command.
#include "engine/entry.h"

#include <fmt/format.h>

#include <cstdio>
#include <string_view>

#include "engine/option_flags.h"
#include "moxing/error.h"
#include "moxing/export.h"
#include "moxing/log.h"
#include "moxing/version.h"
#include "run/quiet_runtime.h"
#include "tensorflow.h"
#include "tensorflow/c/c_api.h"

namespace mox::cli {
namespace {

struct EngineCommand {
  const char* name;
  CommandFn run;
};

constexpr EngineCommand kEngineCommands[] = {
    {"train", run_train},
    {"eval", run_eval},
    {"predict", run_predict},
    {"export", run_export},
    {"nets", run_nets},
    {"lr", run_lr},
    {"data", run_data},
    {"report", run_report},
    {"bench train", run_bench_train},
    {"bench data", run_bench_data},
};

// Functions are bound when first called: another TensorFlow would fail in the middle of a run.
void check_runtime_version() {
  const std::string_view found = TF_Version(), wanted = tensorflow_version();
  if (release(found) == release(wanted)) return;
  throw Error(
      fmt::format("the TensorFlow that was found is {}, MoXing was built for {}; pip install 'tensorflow-cpu=={}.*'",
                  found, wanted, release(wanted)));
}

// As the library's own, in the words of the command line.
void write_log_line(LogLevel level, std::string_view line) {
  const char* const prefix = level == LogLevel::kWarning ? "WARNING: " : level == LogLevel::kError ? "ERROR: " : "";
  std::fprintf(stderr, "%s%s\n", prefix, in_flags(line).c_str());
}

int run_in_flags(CommandFn command, const std::vector<std::string>& args) {
  set_log_sink(write_log_line);
  try {
    return command(args);
  } catch (const InvalidArgumentError& e) {
    throw InvalidArgumentError(in_flags(e.what()));
  } catch (const Error& e) {
    throw Error(in_flags(e.what()));
  }
}

}  // namespace
}  // namespace mox::cli

extern "C" MOX_EXPORT int mox_run_command(const std::string& name, const std::vector<std::string>& args) {
  mox::cli::check_runtime_version();
  mox::quiet_runtime();
  for (const auto& command : mox::cli::kEngineCommands)
    if (name == command.name) return mox::cli::run_in_flags(command.run, args);
  throw mox::InvalidArgumentError("the command library has no command '" + name + "'; it is older than the program");
}
