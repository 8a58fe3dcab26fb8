#include "base/limits.h"

#include <fmt/format.h>
#include <unistd.h>

#include "moxing/error.h"

namespace mox {
namespace {

[[noreturn]] void reject(std::string_view name, const std::string& value, const std::string& expected,
                         std::string_view advice) {
  throw InvalidArgumentError(
      fmt::format("{} is {}, expected {}{}{}", name, value, expected, advice.empty() ? "" : "; ", advice));
}

}  // namespace

void check_integer(std::string_view name, int64_t value, int64_t low, int64_t high, std::string_view advice) {
  if (value < low || value > high)
    reject(name, fmt::format("{}", value), fmt::format("an integer from {} to {}", low, high), advice);
}

void check_number(std::string_view name, double value, double low, double high, std::string_view advice) {
  if (!(value >= low && value <= high))
    reject(name, fmt::format("{}", value), fmt::format("a number from {:g} to {:g}", low, high), advice);
}

void check_fits_memory(std::string_view what, double bytes, std::string_view advice) {
  const double memory = static_cast<double>(::sysconf(_SC_PHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGESIZE));
  if (bytes <= memory) return;
  throw InvalidArgumentError(fmt::format("{} needs {:.3g} bytes, this machine has {:.3g}{}{}", what, bytes, memory,
                                         advice.empty() ? "" : "; ", advice));
}

}  // namespace mox
