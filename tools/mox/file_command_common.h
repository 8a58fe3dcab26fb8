// What the subcommands of `mox file` share.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "command.h"

namespace mox::cli {

// Parses `args` (in order). True: go on; false: help was printed or the usage was wrong, *code says which.
bool parse(CLI::App* app, const std::vector<std::string>& args, int* code);

// Runs `work` for each path; a failure is printed and the others still run. The exit code of it all.
int for_each_path(const char* command, const std::vector<std::string>& paths,
                  const std::function<void(const std::string&)>& work);

// "2026-11-24 06:00:00" in local time.
std::string time_text(int64_t mtime_nsec);

}  // namespace mox::cli
