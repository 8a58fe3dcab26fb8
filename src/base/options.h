// Options of runs and of data sets, as their tables tell them: moxing/run_options.inc and moxing/dataset_options.inc.
// Fields, checks, flags of the program, arguments of Python, `mox flags` and the tables in docs/ come from those lines.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "moxing/export.h"
#include "moxing/flags.h"
#include "moxing/mode_keys.h"

namespace mox {

// The column `values` of a table: what an option takes.
struct OptionValues {
  enum class Kind { kSwitch, kInteger, kNumber, kText, kPath, kWord, kMode, kFunction, kObject };

  Kind kind = Kind::kText;
  std::string expected;                 // of what is neither a number nor a word
  int64_t low = 0, high = 0;            // of integers and numbers: the least and the largest that can be given
  std::vector<std::string> words = {};  // all that there are, and "" for none where that is the default
  std::string note = {};                // what one of the values stands for: "0 turns it off"
  bool may_be_unset = false;            // the default stands for "not given": None in Python, left out in the program

  // The default means that it is not given; where it lies below `low`, C++ takes it all the same.
  OptionValues unset() &&;
};

// For the lines of the tables.
namespace option_values {
OptionValues integer(int64_t low, int64_t high, const char* note = "");
OptionValues number(int64_t low, int64_t high, const char* note = "");
OptionValues truth();
OptionValues text(const char* expected = "a text");
OptionValues path();
OptionValues one_of(std::vector<std::string> words, const char* note = "");
OptionValues mode();
OptionValues function(const char* expected);
OptionValues object(const char* expected);
}  // namespace option_values

// The column `where` of the table of run options: who takes an option beside C++.
namespace option_places {
enum : unsigned { kCpp = 0, kPython = 1, kTrain = 2, kEval = 4, kPredict = 8 };  // mox.run, `mox train`, …
}

// A default of a table; {}: none that can be written down.
class OptionDefault {
 public:
  OptionDefault() = default;
  template <typename T>
  OptionDefault(T value) {
    if constexpr (std::is_same_v<T, bool>)
      value_ = value;
    else if constexpr (std::is_same_v<T, ModeKeys>)
      value_ = std::string(to_string(value));
    else if constexpr (std::is_integral_v<T>)
      value_ = static_cast<int64_t>(value);
    else if constexpr (std::is_floating_point_v<T>)
      value_ = static_cast<double>(value);
    else if constexpr (std::is_convertible_v<T, std::string>)
      value_ = std::string(value);
  }
  const std::optional<FlagValue>& value() const { return value_; }

 private:
  std::optional<FlagValue> value_;
};

// A line of a table.
struct OptionInfo {
  const char* name;
  const char* group;  // of data set options: which data sets have it; "run"
  std::optional<FlagValue> default_value;
  OptionValues values;
  unsigned where;     // option_places
  const char* since;  // the version that brought it
  const char* help;   // what it is for, in a line

  // The least number that fits: C++'s, with the default that stands for "not given"; the program's, without it.
  MOX_EXPORT int64_t least() const;
  MOX_EXPORT int64_t least_given() const;
  // "an integer from 0 to 10; 0 turns it off": for errors and help. Of numbers from `low` on.
  MOX_EXPORT std::string expected(int64_t low) const;
  MOX_EXPORT std::string expected() const;
};

// In the order of the manual's run, which is Python's for arguments by position.
MOX_EXPORT const std::vector<OptionInfo>& run_options();
MOX_EXPORT const std::vector<OptionInfo>& dataset_options();
// The line of that name, which must be there.
MOX_EXPORT const OptionInfo& run_option(std::string_view name);
MOX_EXPORT const OptionInfo& dataset_option(std::string_view name);
// Both tables, as `mox flags` prints them below the flags.
MOX_EXPORT std::string option_help();

// InvalidArgumentError "batch_size is -3, expected an integer from 0 to 1048576; 0 means …".
MOX_EXPORT void check_option(const OptionInfo& option, int64_t value);
MOX_EXPORT void check_option(const OptionInfo& option, double value);
MOX_EXPORT void check_option(const OptionInfo& option, const std::string& value);

// The same for a field of any type; functions, switches and what is not given fit.
template <typename T>
void check_field(const OptionInfo& option, const T& value) {
  if constexpr (std::is_same_v<T, std::optional<double>>) {
    if (value) check_option(option, *value);
  } else if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
    check_option(option, static_cast<int64_t>(value));
  } else if constexpr (std::is_floating_point_v<T>) {
    check_option(option, static_cast<double>(value));
  } else if constexpr (std::is_same_v<T, std::string>) {
    check_option(option, value);
  }
}

}  // namespace mox
