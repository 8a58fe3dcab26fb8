#include "base/json_text.h"

#include <cstdint>
#include <cstdio>
#include <string_view>

namespace mox {
namespace {

// What the writer leaves as it is and a terminal would obey: DEL, C1 controls, and what turns the direction of writing.
// They stand in strings only, where \u says the same.
std::string harmless(std::string text) {
  constexpr std::string_view kFirstBytes = "\x7f\xc2\xe2";
  for (size_t at = text.find_first_of(kFirstBytes); at != std::string::npos;
       at = text.find_first_of(kFirstBytes, at + 1)) {
    const auto byte = [&](size_t i) { return at + i < text.size() ? static_cast<uint8_t>(text[at + i]) : 0u; };
    size_t size = 0;
    unsigned character = 0;
    if (byte(0) == 0x7F) {
      size = 1;
      character = 0x7F;
    } else if (byte(0) == 0xC2 && byte(1) < 0xA0) {
      size = 2;
      character = byte(1);
    } else if (byte(0) == 0xE2 && (byte(1) == 0x80 || byte(1) == 0x81)) {
      character = 0x2000 + ((byte(1) & 0x3F) << 6) + (byte(2) & 0x3F);
      const bool turns = character == 0x200E || character == 0x200F || (character >= 0x2028 && character <= 0x202E) ||
                         (character >= 0x2066 && character <= 0x2069);
      size = turns ? 3 : 0;
    }
    if (size == 0) continue;
    char escape[8];
    std::snprintf(escape, sizeof escape, "\\u%04x", character);
    text.replace(at, size, escape);
  }
  return text;
}

}  // namespace

nlohmann::json parse_json(const std::string& text, bool allow_exceptions) {
  return nlohmann::json::parse(text, nullptr, allow_exceptions);
}

nlohmann::ordered_json parse_ordered_json(const std::string& text, bool allow_exceptions) {
  return nlohmann::ordered_json::parse(text, nullptr, allow_exceptions);
}

std::string json_problem(const nlohmann::json::exception& error) {
  const std::string text = error.what();
  const size_t end = text.rfind("[json.exception", 0) == 0 ? text.find("] ") : std::string::npos;
  return end == std::string::npos ? text : text.substr(end + 2);
}

std::string json_text(const nlohmann::json& value, int indent) {
  return harmless(value.dump(indent, ' ', false, nlohmann::json::error_handler_t::replace));
}

std::string json_text(const nlohmann::ordered_json& value, int indent) {
  return harmless(value.dump(indent, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

}  // namespace mox
