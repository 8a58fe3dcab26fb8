// Small things that are done to texts in many places.
#pragma once

#include <charconv>
#include <optional>
#include <string>
#include <string_view>

namespace mox {

// ASCII letters become small; other bytes stay.
inline std::string lower_case(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return result;
}

// Without the `blanks` at both ends.
inline std::string trimmed(std::string_view text, std::string_view blanks = " \t\r\n\v\f") {
  const size_t first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(blanks) + 1 - first));
}

// What is after the last '/'.
inline std::string base_name(std::string_view path) { return std::string(path.substr(path.rfind('/') + 1)); }

// The number that the whole text is, as C writes it; nullopt for anything else, and where Number cannot hold it.
template <typename Number>
std::optional<Number> parse_whole(std::string_view text) {
  Number value{};
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  const auto [stop, error] = std::from_chars(begin, end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

}  // namespace mox
