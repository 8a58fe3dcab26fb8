#include "base/message_body.h"

#include "moxing/error.h"

namespace mox {

Body& Body::number(uint64_t value) {
  for (int shift = 0; shift < 64; shift += 8) bytes_.push_back(static_cast<char>(value >> shift));
  return *this;
}

Body& Body::text(std::string_view value) {
  number(value.size());
  bytes_ += value;
  return *this;
}

Body& Body::texts(const std::vector<std::string>& values) {
  number(values.size());
  for (const std::string& value : values) text(value);
  return *this;
}

Body& Body::raw(std::string_view bytes) {
  bytes_ += bytes;
  return *this;
}

uint64_t BodyReader::number() {
  if (bytes_.size() < 8) throw Error("a message of another process is too short: is it of another version?");
  uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value |= uint64_t{static_cast<uint8_t>(bytes_[i])} << (8 * i);
  bytes_.remove_prefix(8);
  return value;
}

std::string BodyReader::text() {
  const uint64_t size = number();
  if (bytes_.size() < size) throw Error("a message of another process is too short: is it of another version?");
  std::string value(bytes_.substr(0, size));
  bytes_.remove_prefix(size);
  return value;
}

std::vector<std::string> BodyReader::texts() {
  const uint64_t count = number();
  if (count > bytes_.size()) throw Error("a message of another process is too short: is it of another version?");
  std::vector<std::string> values(count);
  for (std::string& value : values) value = text();
  return values;
}

}  // namespace mox
