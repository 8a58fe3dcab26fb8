// Numbers and switches in variables of the environment. A variable that is not set, or empty, gives nothing; a value
// that does not fit is an InvalidArgumentError that names the variable, what it holds and what is expected.
#pragma once

#include <cstdint>
#include <optional>

#include "moxing/export.h"

namespace mox {

MOX_EXPORT std::optional<bool> bool_in_environment(const char* name);
MOX_EXPORT std::optional<int64_t> integer_in_environment(const char* name, int64_t low, int64_t high);
MOX_EXPORT std::optional<double> number_in_environment(const char* name, double low, double high);

}  // namespace mox
