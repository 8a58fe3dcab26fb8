// Flags, and values of flags, of the original MoXing that have no effect here. Scripts pass them: they are taken, with
// a line that says so.
#pragma once

#include <optional>
#include <string>

#include "moxing/flags.h"

namespace mox {

struct OldFlag {
  bool is_switch = false;  // stands without a value on a command line
};
std::optional<OldFlag> find_old_flag(const std::string& name);

// What this version takes for a value of the original's.
struct OldValue {
  std::optional<FlagValue> instead;  // nothing: the flag stays as it is
  std::string what;                  // "--session_timeout=0": for the line
};
// Nothing for a value that a flag of this version must judge itself.
std::optional<OldValue> find_old_value(const std::string& name, const FlagValue& value);

}  // namespace mox
