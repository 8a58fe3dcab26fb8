#include "command_line.h"

#include <CLI/CLI.hpp>
#include <iostream>

#include "command.h"
#include "moxing/flags.h"

namespace mox::cli {

Option& Option::required() {
  option_->required();
  return *this;
}

Option& Option::show_default() {
  option_->capture_default_str();
  return *this;
}

Option& Option::expected(int min, int max) {
  option_->expected(min, max);
  return *this;
}

Option& Option::range(int min, int max) {
  option_->check(CLI::Range(min, max));
  return *this;
}

Option& Option::range(double min, double max) {
  option_->check(CLI::Range(min, max));
  return *this;
}

Option& Option::positive() {
  // CLI11's own tells the largest double, in all its digits.
  option_->check([](const std::string& text) {
    double value = 0;
    const bool right = CLI::detail::lexical_cast(text, value) && value > 0;
    return right ? std::string() : "value " + text + " is not greater than 0";
  });
  return *this;
}

Option& Option::non_negative() {
  option_->check([](const std::string& text) {
    double value = 0;
    const bool right = CLI::detail::lexical_cast(text, value) && value >= 0;
    return right ? std::string() : "value " + text + " is not 0 or more";
  });
  return *this;
}

Option& Option::one_of(std::vector<std::string> values) {
  option_->check(CLI::IsMember(std::move(values)));
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
template Option CommandLine::option(const std::string&, bool&, const std::string&);
template Option CommandLine::option(const std::string&, int&, const std::string&);
template Option CommandLine::option(const std::string&, int64_t&, const std::string&);
template Option CommandLine::option(const std::string&, uint64_t&, const std::string&);
template Option CommandLine::option(const std::string&, float&, const std::string&);
template Option CommandLine::option(const std::string&, double&, const std::string&);

Option CommandLine::flag(const std::string& name, bool& value, const std::string& help) {
  return Option(app_->add_flag(name, value, help));
}

Option CommandLine::get(const std::string& name) { return Option(app_->get_option(name)); }

int CommandLine::parse(const std::vector<std::string>& args) {
  for (CLI::Option* option : app_->get_options())
    if (option->get_expected_max() == 1) option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  std::vector<std::string> reversed(args.rbegin(), args.rend());  // CLI11 takes them from the back
  try {
    app_->parse(std::move(reversed));
  } catch (const CLI::CallForHelp&) {
    std::cout << app_->help();
    return kDone;
  } catch (const CLI::ParseError& e) {
    std::cerr << app_->get_name() << ": " << e.what() << "\nSee `" << app_->get_name() << " --help`.\n";
    return kUsage;
  }
  return -1;
}

int CommandLine::parse_with_flags(const std::vector<std::string>& args) {
  app_->footer("MoXing's flags (--num_gpus, --checkpoint_exclude_patterns, …) are taken too: see `mox flags`.");
  return parse(parse_flags(args));
}

}  // namespace mox::cli
