// mox flags
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/json_text.h"
#include "base/options.h"
#include "command.h"
#include "moxing/error.h"
#include "moxing/flags.h"

namespace mox::cli {
namespace {

constexpr char kHelp[] =
    "Usage: mox flags [--json]\nMoXing's own flags, and the options of runs and data sets: name=default, meaning, "
    "values.\n";

using Json = nlohmann::ordered_json;

Json as_json(const FlagValue& value) {
  return std::visit([](const auto& v) { return Json(v); }, value);
}

// The commands that take it; Python for mox.run.
Json places(unsigned where) {
  Json names = Json::array();
  for (const auto& [place, name] :
       std::initializer_list<std::pair<unsigned, const char*>>{{option_places::kPython, "python"},
                                                               {option_places::kTrain, "train"},
                                                               {option_places::kEval, "eval"},
                                                               {option_places::kPredict, "predict"}})
    if (where & place) names.push_back(name);
  return names;
}

// `of` is run or data; null stands for a default of "not given".
void add_options(Json& list, const char* of, const std::vector<OptionInfo>& table) {
  for (const OptionInfo& option : table) {
    const bool given = option.default_value && !option.values.may_be_unset;
    list.push_back({{"of", of},
                    {"name", option.name},
                    {"default", given ? as_json(*option.default_value) : Json()},
                    {"values", option.expected()},
                    {"group", option.group},
                    {"where", places(option.where)},
                    {"since", option.since},
                    {"help", option.help}});
  }
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
    std::fputs((get_help() + option_help()).c_str(), stdout);
    return kDone;
  }
  Json flags = Json::array();
  add_options(flags, "run", run_options());
  add_options(flags, "data", dataset_options());
  for (const FlagInfo& flag : all_flags())
    flags.push_back({{"of", "process"},
                     {"name", flag.name},
                     {"default", as_json(flag.default_value)},
                     {"values", flag.values()},
                     {"offered", flag.offered},
                     {"help", flag.help}});
  std::printf("%s\n", json_text(flags).c_str());
  return kDone;
}

}  // namespace mox::cli
