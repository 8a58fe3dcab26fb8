// Checksums and signatures as the stores want them, by OpenSSL: CRC32C's text, SHA-256, HMAC, MD5 for the ETags of
// older objects.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/crc32c.h"
#include "moxing/export.h"

namespace mox::file {

// As x-amz-checksum-crc32c wants it: base64 of the four bytes, big end first.
std::string crc32c_base64(uint32_t crc);
MOX_EXPORT std::string base64_encode(std::string_view data);
// Two small digits a byte.
std::string hex_encode(std::string_view data);

std::string hex_sha256(std::string_view data);
// 32 bytes.
std::string hmac_sha256(std::string_view key, std::string_view data);

// SHA-256 or MD5, piece by piece. Error where OpenSSL offers none.
class Digest {
 public:
  enum class Kind { kSha256, kMd5 };
  explicit Digest(Kind kind);
  ~Digest();
  void update(const char* data, size_t size);
  std::string hex();  // ends it
  std::string raw();  // ends it

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mox::file
