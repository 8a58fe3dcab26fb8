#include "engine/command_line.h"

#include <iostream>

#include "command.h"
#include "moxing/flags.h"

namespace mox::cli {

int parse_command_line(CLI::App& app, const std::vector<std::string>& args) {
  std::vector<std::string> rest = parse_flags(args);
  app.footer("MoXing's flags (--num_gpus, --checkpoint_exclude_patterns, …) are taken too: see `mox flags`.");
  // As everywhere: of a flag that is given twice, the last counts.
  for (CLI::Option* option : app.get_options())
    if (option->get_expected_max() == 1) option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  std::reverse(rest.begin(), rest.end());  // CLI11 takes them from the back
  try {
    app.parse(rest);
  } catch (const CLI::CallForHelp&) {
    std::cout << app.help();
    return kDone;
  } catch (const CLI::ParseError& e) {
    std::cerr << app.get_name() << ": " << e.what() << "\nSee `" << app.get_name() << " --help`.\n";
    return kUsage;
  }
  return -1;
}

}  // namespace mox::cli
