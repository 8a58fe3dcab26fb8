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

struct FlagInfo {
  const char* name;
  FlagValue default_value;
  const char* values;  // "an integer >= 1", "'ps' or 'worker'": for help and errors
  const char* help;
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

// Takes `--name=value`, `--name value` and, for switches, `--name` / `--noname` out of `args`; returns what it does not
// know, in order, for the user's own parser.
MOX_EXPORT std::vector<std::string> parse_flags(const std::vector<std::string>& args);

// All flags with their defaults and values, as `mox flags` prints them.
MOX_EXPORT const std::vector<FlagInfo>& all_flags();
MOX_EXPORT std::string get_help();
// Back to the defaults: for tests and for programs that run twice.
MOX_EXPORT void reset_flags();

MOX_EXPORT std::string to_string(const FlagValue& value);

}  // namespace mox
