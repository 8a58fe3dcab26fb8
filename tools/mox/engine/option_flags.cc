#include "engine/option_flags.h"

#include <string_view>
#include <type_traits>
#include <utility>

namespace mox::cli {
namespace {

std::string flag_of(const OptionInfo& option, const std::string& flag) {
  return flag.empty() ? std::string("--") + option.name : flag;
}

// The command line's own names.
constexpr std::pair<std::string_view, std::string_view> kNames[] = {
    {"log_dir", "train_url"}, {"checkpoint_path", "checkpoint_url"}, {"random_seed", "seed"}};

std::string run_flag(const std::string& name) {
  for (const auto& [option, flag] : kNames)
    if (name == option) return "--" + std::string(flag);
  return "--" + name;
}

std::string help_of(const OptionInfo& option) {
  std::string help = option.help;
  for (const auto& [name, flag] : kNames)
    for (size_t at = help.find(name); at != std::string::npos; at = help.find(name, at + flag.size()))
      help.replace(at, name.size(), flag);
  return help;
}

// What a command line has no form for (functions, modes) is no flag.
template <typename T>
void add_run_option(CommandLine& app, const OptionInfo& option, unsigned command, T& value) {
  if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, int> || std::is_same_v<T, int64_t> ||
                std::is_same_v<T, double>) {
    if (option.where & command) add_option(app, option, value, run_flag(option.name));
  } else if constexpr (std::is_same_v<T, bool>) {
    if (!(option.where & command)) return;
    if (value)  // the command's default: --NAME=false switches it off
      app.option(run_flag(option.name), value, help_of(option)).show_default("true");
    else
      app.flag(run_flag(option.name), value, help_of(option));
  }
}

bool is_word(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; }

// Whether the name that stands there is a word, and no part of a path.
bool stands_alone(std::string_view text, size_t at, size_t size) {
  const auto joins = [](char c) { return is_word(c) || c == '/' || c == '-'; };
  if (at > 0 && (joins(text[at - 1]) || text[at - 1] == '.')) return false;
  const size_t end = at + size;
  if (end == text.size()) return true;
  return !joins(text[end]) && !(text[end] == '.' && end + 1 < text.size() && is_word(text[end + 1]));
}

}  // namespace

std::string in_flags(std::string_view text) {
  std::string result(text);
  for (const auto& [name, flag] : kNames) {
    const std::string spelled = "--" + std::string(flag);
    for (size_t at = result.find(name); at != std::string::npos; at = result.find(name, at)) {
      const bool word = stands_alone(result, at, name.size());
      if (word) result.replace(at, name.size(), spelled);
      at += word ? spelled.size() : name.size();
    }
  }
  return result;
}

Option add_option(CommandLine& app, const OptionInfo& option, std::string& value, const std::string& flag) {
  Option added = app.option(flag_of(option, flag), value, help_of(option));
  if (!option.values.words.empty()) added.one_of(option.values.words);
  if (!value.empty()) added.show_default();
  return added;
}

template <typename T>
Option add_option(CommandLine& app, const OptionInfo& option, T& value, const std::string& flag) {
  const OptionValues& values = option.values;
  const int64_t low = option.least_given();  // "not given" is a flag that is left out
  const std::string note = low == option.least() ? values.note : "";
  const std::string help = help_of(option) + (note.empty() ? "" : "; " + note);
  Option added =
      app.number(flag_of(option, flag), value, {static_cast<T>(low), static_cast<T>(values.high), note}, help);
  if (value >= static_cast<T>(low)) added.show_default();
  return added;
}

template Option add_option(CommandLine&, const OptionInfo&, int&, const std::string&);
template Option add_option(CommandLine&, const OptionInfo&, int64_t&, const std::string&);
template Option add_option(CommandLine&, const OptionInfo&, double&, const std::string&);

void add_run_options(CommandLine& app, unsigned command, RunOptions* options) {
#define MOX_RUN_OPTION(type, name, ...) add_run_option(app, run_option(#name), command, options->name);
#include "moxing/run_options.inc"
}

}  // namespace mox::cli
