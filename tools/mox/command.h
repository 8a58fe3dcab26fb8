// What a command of the program is. Exit codes everywhere: 0 done, 1 failed, 2 wrong usage.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

namespace mox::cli {

constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kUsage = 2;

// `args` are the words after the command's name. Throws mox::Error; main prints it and exits with 1
// (2 for an InvalidArgumentError).
using CommandFn = int (*)(const std::vector<std::string>& args);

struct Command {
  const char* name;
  const char* summary;           // one line for `mox --help`
  CommandFn run;                 // nullptr: lives in the engine's command library
  bool starts_programs = false;  // launch, script, convert: plugins are for what they start
};

// main.cc: the commands of the program.
std::span<const Command> all_commands();

// version_command.cc: `mox --version`, with --json also of what it works with.
int run_version(const std::vector<std::string>& args);

// flags_command.cc
int run_flags(const std::vector<std::string>& args);

// script_command.cc: do not return when Python starts.
int run_script(const std::vector<std::string>& args);
int run_convert(const std::vector<std::string>& args);

// file_command.cc
int run_file(const std::vector<std::string>& args);

// completion_command.cc
int run_completion(const std::vector<std::string>& args);

// bench_command.cc
int run_bench(const std::vector<std::string>& args);

// launch_command.cc
int run_launch(const std::vector<std::string>& args);

// plugins.cc: takes --plugin=LIBRARY (or --plugin LIBRARY; several) out of the words before "--" and loads them, after
// those of MOX_PLUGINS; for a command that starts other programs they join that variable instead. InvalidArgumentError.
void take_plugins(const Command& command, std::vector<std::string>* args);

// data_ahead.cc: begins with what the engine will have to unpack, where the words of the command `name` tell what that
// is. Costs nothing otherwise, and no error comes out of it.
void unpack_data_ahead(const std::string& name, const std::vector<std::string>& args);

// engine_loader.cc: loads the command library, once. Error when it cannot be.
void load_engine();
// dlopen without the greeting of TensorFlow, where that comes along; nullptr as dlopen.
void* load_quietly(const std::string& path, int flags);
// The same and runs `name` of it.
int run_engine_command(const std::string& name, const std::vector<std::string>& args);

}  // namespace mox::cli
