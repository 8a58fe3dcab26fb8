// CRC32C (the instruction where the processor has it), and MD5 for the ETags of older objects.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace mox::file {

// Continues `crc` (0 to begin) over the data.
uint32_t crc32c(uint32_t crc, const char* data, size_t size);
// The CRC of A followed by B, from both CRCs and the length of B.
uint32_t crc32c_combine(uint32_t crc_a, uint32_t crc_b, int64_t size_b);
// As x-amz-checksum-crc32c wants it: base64 of the four bytes, big end first.
std::string crc32c_base64(uint32_t crc);
std::string base64_encode(std::string_view data);

// SHA-256 or MD5, piece by piece.
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
