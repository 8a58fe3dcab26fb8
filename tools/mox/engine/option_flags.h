// Flags of commands that are options of a run or of a data set: names, ranges and help come from their tables.
#pragma once

#include <string>
#include <string_view>

#include "base/options.h"
#include "command_line.h"
#include "moxing/run.h"

namespace mox::cli {

// The option's flag, --NAME where `flag` is empty. `value` has the command's default; --help shows it where it is not
// the table's for "not given".
Option add_option(CommandLine& app, const OptionInfo& option, std::string& value, const std::string& flag = "");
template <typename T>
Option add_option(CommandLine& app, const OptionInfo& option, T& value, const std::string& flag = "");

// What the engine says, with the flags' names in place of its options' where they differ: --train_url for log_dir.
std::string in_flags(std::string_view text);

// Those that the table says `command` (option_places) takes: log_dir as --train_url, checkpoint_path as
// --checkpoint_url, random_seed as --seed, the others by their names.
void add_run_options(CommandLine& app, unsigned command, RunOptions* options);

}  // namespace mox::cli
