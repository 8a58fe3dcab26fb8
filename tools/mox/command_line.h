// The words after a command's name. CLI11, which does the work, is included by command_line.cc only: it is header-only
// and takes eight seconds to compile wherever it is.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace mox::cli {

// One option of a CommandLine, which owns it; calls chain.
class Option {
 public:
  explicit Option(CLI::Option* option) : option_(option) {}
  Option& required();
  Option& show_default();  // --help tells the variable's value
  Option& show_default(const std::string& text);
  Option& expected(int min, int max);  // so many values; max -1: any number
  // The only values: parse throws an InvalidArgumentError that names the option, what it got and them.
  Option& one_of(std::vector<std::string> values);
  Option& needs(const Option& other);
  Option& description(const std::string& text);
  bool given() const;  // after parse

 private:
  CLI::Option* option_;
};

// The least and the largest value of a number, and what one of them stands for ("0 turns it off"), for errors.
template <typename T>
struct Bounds {
  std::type_identity_t<T> low, high;
  std::string note = "";
};

class CommandLine {
 public:
  // `name` is what the user types, "mox file ls"; it stands before errors.
  CommandLine(const std::string& description, const std::string& name);
  ~CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  // `name` is "--batch_size", "-r,--recursive", or a word without dashes for an argument. `value` keeps what it has
  // when the option is not given, and must outlive parse. Of an option that is given twice the last counts.
  // T: std::string, std::vector<std::string> or bool.
  template <typename T>
  Option option(const std::string& name, T& value, const std::string& help = "");
  // A number within [low, high]: parse throws an InvalidArgumentError that names the option, what it got and the range.
  // T: int, int64_t or uint64_t; float or double, which take no nan and no inf.
  template <typename T>
  Option number(const std::string& name, T& value, Bounds<T> range, const std::string& help = "");
  // A switch that takes no value.
  Option flag(const std::string& name, bool& value, const std::string& help = "");
  // The option of that name, which must be there.
  Option get(const std::string& name);

  // Returns -1 to go on, or the exit code: help was printed, or the usage was wrong.
  int parse(const std::vector<std::string>& args);
  // The same; MoXing's own flags (`mox flags`) are taken first.
  int parse_with_flags(const std::vector<std::string>& args);

 private:
  std::string unknown_option(const std::vector<std::string>& not_taken, bool told) const;

  std::unique_ptr<CLI::App> app_;
};

// The flag running_log_level where nobody gave it, which is heeded from here on.
void set_default_log_level(const std::string& level);

template <>
Option CommandLine::option(const std::string& name, bool& value, const std::string& help);

}  // namespace mox::cli
