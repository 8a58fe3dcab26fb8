#include "base/limits.h"

#include <fmt/format.h>

#include "moxing/error.h"

namespace mox {
namespace {

template <typename T>
void check(std::string_view name, T value, T low, T high, const char* kind, std::string_view advice) {
  if (value >= low && value <= high) return;
  throw InvalidArgumentError(fmt::format("{} is {}, expected {} from {} to {}{}{}", name, value, kind, low, high,
                                         advice.empty() ? "" : "; ", advice));
}

}  // namespace

void check_integer(std::string_view name, int64_t value, int64_t low, int64_t high, std::string_view advice) {
  check(name, value, low, high, "an integer", advice);
}

void check_number(std::string_view name, double value, double low, double high, std::string_view advice) {
  check(name, value, low, high, "a number", advice);
}

}  // namespace mox
