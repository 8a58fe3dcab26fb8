// Fields of a message between processes: numbers of 8 bytes, texts with their length before them, little-endian.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "moxing/export.h"

namespace mox {

// Writes the fields of a message.
class MOX_EXPORT Body {
 public:
  Body& number(uint64_t value);
  Body& text(std::string_view value);
  Body& texts(const std::vector<std::string>& values);
  Body& raw(std::string_view bytes);  // to the end of the message
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

// Reads them in the same order; mox::Error when the message is too short, which one of another version may be.
class MOX_EXPORT BodyReader {
 public:
  explicit BodyReader(std::string_view bytes) : bytes_(bytes) {}
  uint64_t number();
  std::string text();
  std::vector<std::string> texts();
  std::string_view rest() const { return bytes_; }

 private:
  std::string_view bytes_;
};

}  // namespace mox
