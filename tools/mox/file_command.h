// The subcommands of `mox file`, one function each; file_command.cc is their table.
#pragma once

#include <string>
#include <vector>

namespace mox::cli {

int file_ls(const std::vector<std::string>& args);
int file_cat(const std::vector<std::string>& args);
int file_stat(const std::vector<std::string>& args);
int file_du(const std::vector<std::string>& args);
int file_cp(const std::vector<std::string>& args);
int file_sync(const std::vector<std::string>& args);
int file_mv(const std::vector<std::string>& args);
int file_rm(const std::vector<std::string>& args);
int file_mkdir(const std::vector<std::string>& args);
int file_append(const std::vector<std::string>& args);

}  // namespace mox::cli
