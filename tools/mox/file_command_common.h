// What the subcommands of `mox file` share.
#pragma once

#include <cstdio>
#include <exception>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "command.h"
#include "command_line.h"
#include "moxing/error.h"

namespace mox::cli {

// Runs `work` for each path; a failure is printed and the others still run. The exit code of it all.
int for_each_path(const char* command, const std::vector<std::string>& paths,
                  const std::function<void(const std::string&)>& work);

// Standard output takes no more: nobody prints this one, the program tells it when it ends (output.h).
struct OutputError : Error {
  OutputError() : Error("standard output cannot be written") {}
};

// To standard output, or an OutputError.
void print(std::string_view text);

// As for_each_path, for an exception that a command catches itself.
void print_error(const char* command, const std::exception& error);

// Whether an open descriptor is the regular file of this path: to read one and write the other would never end.
bool is_same_file(int fd, const std::string& path);

// "2026-11-24 06:00:00" in local time.
std::string time_text(int64_t mtime_nsec);

}  // namespace mox::cli
