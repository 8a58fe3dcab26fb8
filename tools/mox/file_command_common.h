// What the subcommands of `mox file` share.
#pragma once

#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "command.h"
#include "command_line.h"

namespace mox::cli {

// Runs `work` for each path; a failure is printed and the others still run. The exit code of it all.
int for_each_path(const char* command, const std::vector<std::string>& paths,
                  const std::function<void(const std::string&)>& work);

// "2026-11-24 06:00:00" in local time.
std::string time_text(int64_t mtime_nsec);

}  // namespace mox::cli
