#include "base/crc32c.h"

#include <gtest/gtest.h>

#include <string>

namespace mox {
namespace {

TEST(Crc32c, OfKnownInputs) {
  EXPECT_EQ(crc32c(0, "123456789", 9), 0xE3069283u);                    // the check value of CRC-32C
  EXPECT_EQ(crc32c(0, std::string(32, '\0').data(), 32), 0x8A9136AAu);  // RFC 3720, B.4
  EXPECT_EQ(crc32c(0, std::string(32, '\xff').data(), 32), 0x62A8AB43u);
  std::string text(20001, '\0');
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>((i * 2654435761u) >> 9);
  uint32_t by_bytes = 0;
  for (const char& byte : text) by_bytes = crc32c(by_bytes, &byte, 1);
  EXPECT_EQ(crc32c(0, text.data(), text.size()), by_bytes) << "several stretches at once";
}

TEST(Crc32c, CombineIsTheCrcOfBoth) {
  std::string text;
  for (int i = 0; i < 5000; ++i) text += static_cast<char>(i * 7 + i / 9);
  const uint32_t whole = crc32c(0, text.data(), text.size());
  for (const size_t cut : {size_t{0}, size_t{1}, size_t{13}, size_t{4096}, text.size()}) {
    const uint32_t a = crc32c(0, text.data(), cut), b = crc32c(0, text.data() + cut, text.size() - cut);
    EXPECT_EQ(crc32c_combine(a, b, static_cast<int64_t>(text.size() - cut)), whole) << cut;
  }
}

}  // namespace
}  // namespace mox
