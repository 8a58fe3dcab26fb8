// What the engine's commands share on the command line: CLI11 with MoXing's own flags taken out first.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace mox::cli {

// Parses `args` into `app`. Returns -1 to go on, or the exit code (help was printed, or the usage was wrong).
int parse_command_line(CLI::App& app, const std::vector<std::string>& args);

}  // namespace mox::cli
