// MoXing's own parameters: set on the command line (`--num_gpus=2`) or with set_flag before run.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "moxing/export.h"

namespace mox {

// loss_scale holds a number or the word "dynamic"; every other flag keeps the type of its default.
using FlagValue = std::variant<bool, int64_t, double, std::string>;

// A line of the table of flags. What is checked, told in errors and listed by `mox flags` comes from these columns.
struct FlagInfo {
  enum class Text { kAny, kHosts, kPatterns };  // host:port,…; regular expressions, comma-separated

  const char* name;
  FlagValue default_value;              // its type is the flag's
  const char* help;                     // what it is for, in a line
  double low = 0, high = 0;             // of numbers: the least and the largest
  std::vector<std::string> words = {};  // of a text: all that there are, none: any; of a number: what may stand instead
  Text text = Text::kAny;
  const char* environment = "";  // the variable that gives the value where the command line and set_flag give none
  bool offered = true;           // false: this version does not heed it, and takes its default only

  // "an integer from 1 to 1024", "'ps' or 'worker'": for help and errors.
  MOX_EXPORT std::string values() const;
};

// InvalidArgumentError that lists the flags for an unknown name.
MOX_EXPORT FlagValue get_flag(const std::string& name);
// The value as T (bool, int64_t, double, std::string).
template <typename T>
T get_flag(const std::string& name) {
  return std::get<T>(get_flag(name));
}

// Before run, outside the user's functions. InvalidArgumentError that names the flag and its values when the type or
// the value does not fit. Integers are taken for number flags, strings are parsed as on the command line.
MOX_EXPORT void set_flag(const std::string& name, const FlagValue& value);
inline void set_flag(const std::string& name, bool value) { set_flag(name, FlagValue(value)); }
inline void set_flag(const std::string& name, int value) { set_flag(name, FlagValue(int64_t{value})); }
inline void set_flag(const std::string& name, const char* value) { set_flag(name, FlagValue(std::string(value))); }

// Whether the command line, set_flag or the environment gave it a value.
MOX_EXPORT bool is_flag_set(const std::string& name);

// How many workers the flag worker_hosts names; 1 without it, and for an evaluator, which is no member of the cluster.
MOX_EXPORT int64_t num_workers();
// This process is worker 0, or alone: of several workers it alone logs, saves, exports and prints results.
MOX_EXPORT bool is_chief();

// Takes `--name=value`, `--name value` and, for switches, `--name` / `--noname` out of `args`; returns what it does not
// know, in order, for the user's own parser. InvalidArgumentError as set_flag, and for a flag without its value.
MOX_EXPORT std::vector<std::string> parse_flags(const std::vector<std::string>& args);

// All flags with their defaults and values, as `mox flags` prints them.
MOX_EXPORT const std::vector<FlagInfo>& all_flags();
// The same as text: two lines a flag.
MOX_EXPORT std::string get_help();
// Back to the defaults: for tests and for programs that run twice.
MOX_EXPORT void reset_flags();

// As on the command line: "true", "4", "0.5", "ps".
MOX_EXPORT std::string to_string(const FlagValue& value);

}  // namespace mox
