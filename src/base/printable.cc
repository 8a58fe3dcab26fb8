#include "base/printable.h"

#include <cstdint>
#include <utility>

namespace mox {
namespace {

// Bytes of the UTF-8 character at the start of `text`, and the character; 0 when there is none.
size_t decode(std::string_view text, uint32_t* character) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) {
    *character = first;
    return 1;
  }
  const size_t size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < size) return 0;
  uint32_t value = first & (0xFFu >> (size + 1));
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    value = value << 6 | (byte(i) & 0x3Fu);
  }
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  if (value < kLeast[size] || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) return 0;
  *character = value;
  return size;
}

bool is_obeyed(uint32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x200E || c == 0x200F || (c >= 0x2028 && c <= 0x202E) ||
         (c >= 0x2066 && c <= 0x2069);
}

void append_escaped(std::string_view bytes, std::string* out) {
  constexpr char kDigits[] = "0123456789abcdef";
  for (const char c : bytes) {
    const auto byte = static_cast<uint8_t>(c);
    *out += {'\\', 'x', kDigits[byte >> 4], kDigits[byte & 15]};
  }
}

std::string escaped(std::string_view text, bool keep_lines) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    uint32_t character = 0;
    const size_t size = decode(text, &character);
    const std::string_view bytes = text.substr(0, size ? size : 1);
    const bool layout = character == '\n' || character == '\t';
    if (size && (!is_obeyed(character) || (keep_lines && layout)))
      result += bytes;
    else if (size && layout)
      result += character == '\n' ? "\\n" : "\\t";
    else
      append_escaped(bytes, &result);
    text.remove_prefix(bytes.size());
  }
  return result;
}

// Where the password of "user:password@…" begins and how long it is; npos when there is none. `text` begins behind
// "://".
std::pair<size_t, size_t> password_in(std::string_view text) {
  constexpr std::pair<size_t, size_t> kNone{std::string_view::npos, 0};
  std::string_view word = text.substr(0, text.find_first_of(" \t\n\r\"'<>|"));
  // Quotes end a URL, or are of its password.
  const size_t last = word.find_last_not_of("0123456789");
  const bool ends_with_port = last != std::string_view::npos && last + 1 < word.size() && word[last] == ':';
  if (word.find_first_of("@/?#") == std::string_view::npos && !ends_with_port)
    word = text.substr(0, text.find_first_of(" \t\n\r"));
  const size_t colon = word.find(':');
  if (colon == std::string_view::npos) return kNone;
  const size_t slash = word.find_first_of("/?#");
  if (slash != std::string_view::npos && slash < colon) return kNone;
  // "host:8080/a@b" is a port and a path; of "user:a/b@host" all up to the '@' is the password.
  const size_t after_digits = word.find_first_not_of("0123456789", colon + 1);
  const bool is_port = slash != std::string_view::npos && after_digits == slash;
  const size_t at = is_port ? std::string_view::npos : word.rfind('@');
  return at == std::string_view::npos || at < colon ? kNone : std::pair{colon + 1, at - colon - 1};
}

std::string without_passwords(std::string text) {
  for (size_t at = text.find("://"); at != std::string::npos; at = text.find("://", at)) {
    at += 3;
    const auto [begin, size] = password_in(std::string_view(text).substr(at));
    if (begin != std::string_view::npos) text.replace(at + begin, size, "***");
  }
  return text;
}

}  // namespace

std::string printable(std::string_view text) { return without_passwords(escaped(text, true)); }

std::string printable_name(std::string_view text) { return escaped(text, false); }

}  // namespace mox
