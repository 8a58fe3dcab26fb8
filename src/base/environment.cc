#include "base/environment.h"

#include <fmt/format.h>

#include <cstdlib>
#include <string>

#include "base/text.h"
#include "moxing/error.h"

namespace mox {
namespace {

std::optional<std::string> text_of(const char* name) {
  const char* value = std::getenv(name);
  return value && *value ? std::optional<std::string>(value) : std::nullopt;
}

[[noreturn]] void reject(const char* name, const std::string& value, const std::string& expected) {
  throw InvalidArgumentError(
      fmt::format("environment variable {}='{}': expected {}; correct or unset it", name, value, expected));
}

template <typename Number>
std::optional<Number> number_of(const char* name, Number low, Number high, const char* kind) {
  const std::optional<std::string> text = text_of(name);
  if (!text) return std::nullopt;
  const std::optional<Number> number = parse_whole<Number>(*text);
  if (!number || !(*number >= low && *number <= high))  // nan does not fit
    reject(name, *text, fmt::format("{} from {} to {}", kind, low, high));
  return number;
}

}  // namespace

std::optional<bool> bool_in_environment(const char* name) {
  const std::optional<std::string> text = text_of(name);
  if (!text) return std::nullopt;
  const std::string lower = lower_case(*text);
  if (lower == "1" || lower == "true" || lower == "yes" || lower == "on") return true;
  if (lower == "0" || lower == "false" || lower == "no" || lower == "off") return false;
  reject(name, *text, "true or false");
}

std::optional<int64_t> integer_in_environment(const char* name, int64_t low, int64_t high) {
  return number_of<int64_t>(name, low, high, "an integer");
}

std::optional<double> number_in_environment(const char* name, double low, double high) {
  return number_of<double>(name, low, high, "a number");
}

}  // namespace mox
