#include "command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <iostream>

#include "base/near_name.h"
#include "base/printable.h"
#include "command.h"
#include "moxing/error.h"
#include "moxing/flags.h"
#include "moxing/log.h"

namespace mox::cli {
namespace {

[[noreturn]] void reject(const CLI::Option& option, const std::string& got, const std::string& expected) {
  throw InvalidArgumentError(
      fmt::format("{} is {}, expected {}", option.get_name(), got.empty() ? "empty" : printable_name(got), expected));
}

void heed_log_level() { set_log_level(parse_log_level(get_flag<std::string>("running_log_level"))); }

}  // namespace

Option& Option::required() {
  option_->required();
  if (option_->get_name().starts_with("--"))
    option_->check([option = option_](const std::string& text) -> std::string {
      if (text.empty()) reject(*option, "", "a value");
      return "";
    });
  return *this;
}

Option& Option::show_default() {
  option_->capture_default_str();
  return *this;
}

Option& Option::show_default(const std::string& text) {
  option_->default_str(text);
  return *this;
}

Option& Option::expected(int min, int max) {
  option_->expected(min, max);
  return *this;
}

Option& Option::one_of(std::vector<std::string> values) {
  std::string expected, all;
  for (size_t i = 0; i < values.size(); ++i) {
    expected += (i == 0 ? "" : i + 1 < values.size() ? ", " : " or ") + values[i];
    all += (i == 0 ? "" : ",") + values[i];
  }
  option_->type_name(option_->get_type_name() + ":{" + all + "}");
  option_->check([option = option_, values = std::move(values), expected](const std::string& text) -> std::string {
    if (std::find(values.begin(), values.end(), text) == values.end())
      reject(*option, text, expected + did_you_mean(text, values));
    return "";
  });
  return *this;
}

Option& Option::needs(const Option& other) {
  option_->needs(other.option_);
  return *this;
}

Option& Option::description(const std::string& text) {
  option_->description(text);
  return *this;
}

bool Option::given() const { return option_->count() > 0; }

CommandLine::CommandLine(const std::string& description, const std::string& name)
    : app_(std::make_unique<CLI::App>(description, name)) {}

CommandLine::~CommandLine() = default;

template <typename T>
Option CommandLine::option(const std::string& name, T& value, const std::string& help) {
  return Option(app_->add_option(name, value, help));
}

template Option CommandLine::option(const std::string&, std::string&, const std::string&);
template Option CommandLine::option(const std::string&, std::vector<std::string>&, const std::string&);
template <>
Option CommandLine::option(const std::string& name, bool& value, const std::string& help) {
  CLI::Option* option = app_->add_option(name, value, help);
  option->check([option](const std::string& text) -> std::string {
    bool parsed = false;
    if (!CLI::detail::lexical_cast(text, parsed)) reject(*option, text, "true or false");
    return "";
  });
  return Option(option);
}

template <typename T>
Option CommandLine::number(const std::string& name, T& value, Bounds<T> range, const std::string& help) {
  CLI::Option* option = app_->add_option(name, value, help);
  option->check([option, range = std::move(range)](const std::string& text) -> std::string {
    T parsed{};
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, parsed);
    if (error != std::errc() || stop != end || !(parsed >= range.low && parsed <= range.high))  // nan does not fit
      reject(*option, text,
             fmt::format("{} from {} to {}{}{}", std::is_integral_v<T> ? "an integer" : "a number", range.low,
                         range.high, range.note.empty() ? "" : "; ", range.note));
    return "";
  });
  return Option(option);
}

template Option CommandLine::number(const std::string&, int&, Bounds<int>, const std::string&);
template Option CommandLine::number(const std::string&, int64_t&, Bounds<int64_t>, const std::string&);
template Option CommandLine::number(const std::string&, uint64_t&, Bounds<uint64_t>, const std::string&);
template Option CommandLine::number(const std::string&, float&, Bounds<float>, const std::string&);
template Option CommandLine::number(const std::string&, double&, Bounds<double>, const std::string&);

Option CommandLine::flag(const std::string& name, bool& value, const std::string& help) {
  return Option(app_->add_flag(name, value, help));
}

Option CommandLine::get(const std::string& name) { return Option(app_->get_option(name)); }

// "; --batchsize is none of the options; did you mean '--batch_size'?" of the first word that nobody takes. `told`:
// that it is none has been said.
std::string CommandLine::unknown_option(const std::vector<std::string>& not_taken, bool told) const {
  std::vector<std::string> known;
  for (const CLI::Option* option : app_->get_options())
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  for (const FlagInfo& flag : all_flags()) known.push_back(std::string("--") + flag.name);
  for (const std::string& word : not_taken)
    if (word.starts_with("--"))
      return (told ? "" : "; " + word + " is none of the options") +
             did_you_mean(word.substr(0, word.find('=')), known);
  return "";
}

int CommandLine::parse(const std::vector<std::string>& args) {
  for (CLI::Option* option : app_->get_options())
    if (option->get_expected_max() == 1) option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  std::vector<std::string> reversed;  // CLI11 takes them from the back
  bool options_end = false;
  for (const std::string& arg : args) {
    options_end = options_end || arg == "--";
    const CLI::Option* empty = !options_end && arg.starts_with("--") && arg.ends_with('=')
                                   ? app_->get_option_no_throw(arg.substr(0, arg.size() - 1))
                                   : nullptr;
    // Of `--split= --json` CLI11 would make a split called --json.
    const bool is_value = empty && empty->get_items_expected_min() > 0;
    reversed.push_back(is_value ? arg.substr(0, arg.size() - 1) : arg);
    if (is_value) reversed.emplace_back();
  }
  std::reverse(reversed.begin(), reversed.end());
  try {
    app_->parse(std::move(reversed));
  } catch (const CLI::CallForHelp&) {
    std::cout << app_->help();
    return kDone;
  } catch (const CLI::ParseError& e) {
    std::cerr << app_->get_name() << ": " << printable(e.what())
              << printable(unknown_option(app_->remaining(), dynamic_cast<const CLI::ExtrasError*>(&e))) << "\nSee `"
              << app_->get_name() << " --help`.\n";
    return kUsage;
  }
  return -1;
}

int CommandLine::parse_with_flags(const std::vector<std::string>& args) {
  app_->footer("MoXing's flags (--num_gpus, --checkpoint_exclude_patterns, …) are taken too: see `mox flags`.");
  const int code = parse(parse_flags(args));
  if (code < 0) heed_log_level();
  return code;
}

void set_default_log_level(const std::string& level) {
  if (!is_flag_set("running_log_level")) set_flag("running_log_level", FlagValue(level));
  heed_log_level();
}

}  // namespace mox::cli
