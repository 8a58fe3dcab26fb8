// mox flags
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "command.h"
#include "moxing/error.h"
#include "moxing/flags.h"

namespace mox::cli {
namespace {

constexpr char kHelp[] = "Usage: mox flags [--json]\nMoXing's own flags: name=default, meaning, values.\n";

nlohmann::ordered_json as_json(const FlagValue& value) {
  return std::visit([](const auto& v) { return nlohmann::ordered_json(v); }, value);
}

}  // namespace

int run_flags(const std::vector<std::string>& args) {
  bool json = false;
  for (const std::string& arg : args) {
    if (arg == "--help" || arg == "-h") {
      std::fputs(kHelp, stdout);
      return kDone;
    }
    if (arg != "--json") throw InvalidArgumentError("unknown option '" + arg + "'\n" + kHelp);
    json = true;
  }
  if (!json) {
    std::fputs(get_help().c_str(), stdout);
    return kDone;
  }
  nlohmann::ordered_json flags = nlohmann::ordered_json::array();
  for (const FlagInfo& flag : all_flags())
    flags.push_back({{"name", flag.name},
                     {"default", as_json(flag.default_value)},
                     {"values", flag.values()},
                     {"offered", flag.offered},
                     {"help", flag.help}});
  std::printf("%s\n", json_text(flags).c_str());
  return kDone;
}

}  // namespace mox::cli
