#include "base/crc32c.h"

#include <array>
#include <cstring>

namespace mox {
namespace {

constexpr uint32_t kPolynomial = 0x82F63B78;  // Castagnoli, reflected

std::array<uint32_t, 256> make_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value & 1) ? (value >> 1) ^ kPolynomial : value >> 1;
    table[i] = value;
  }
  return table;
}

uint32_t crc_by_table(uint32_t crc, const char* data, size_t size) {
  static const std::array<uint32_t, 256> table = make_table();
  for (size_t i = 0; i < size; ++i) crc = table[(crc ^ static_cast<unsigned char>(data[i])) & 0xFF] ^ (crc >> 8);
  return crc;
}

// A linear map on 32 bits: column i is the image of bit i.
using BitMatrix = std::array<uint32_t, 32>;

uint32_t map_bits(const BitMatrix& matrix, uint32_t bits) {
  uint32_t result = 0;
  for (int i = 0; bits != 0; bits >>= 1, ++i)
    if (bits & 1) result ^= matrix[i];
  return result;
}

BitMatrix square(const BitMatrix& matrix) {
  BitMatrix result;
  for (int i = 0; i < 32; ++i) result[i] = map_bits(matrix, matrix[i]);
  return result;
}

// What one zero bit does to a CRC register.
BitMatrix one_zero_bit() {
  BitMatrix matrix;
  matrix[0] = kPolynomial;
  for (int i = 1; i < 32; ++i) matrix[i] = 1u << (i - 1);
  return matrix;
}

// The map that appending `bytes` zero bytes is.
BitMatrix zero_bytes(int64_t bytes) {
  BitMatrix power = one_zero_bit();
  for (int i = 0; i < 3; ++i) power = square(power);  // one byte
  BitMatrix result;
  for (int i = 0; i < 32; ++i) result[i] = 1u << i;
  for (; bytes > 0; bytes >>= 1, power = square(power))
    if (bytes & 1)
      for (uint32_t& column : result) column = map_bits(power, column);
  return result;
}

constexpr size_t kStretch = 1360;  // three of them fit four times into the 16 KiB that curl hands over

// The same map for whole bytes of the CRC at once.
using ShiftTable = std::array<std::array<uint32_t, 256>, 4>;

[[maybe_unused]] ShiftTable make_shift_table(int64_t bytes) {
  const BitMatrix matrix = zero_bytes(bytes);
  ShiftTable table;
  for (int place = 0; place < 4; ++place)
    for (uint32_t value = 0; value < 256; ++value) table[place][value] = map_bits(matrix, value << (8 * place));
  return table;
}

[[maybe_unused]] uint32_t shift_by(const ShiftTable& table, uint32_t crc) {
  return table[0][crc & 0xFF] ^ table[1][(crc >> 8) & 0xFF] ^ table[2][(crc >> 16) & 0xFF] ^ table[3][crc >> 24];
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint64_t crc_of_word(uint64_t crc, const char* data) {
  uint64_t word;
  std::memcpy(&word, data, 8);
  return __builtin_ia32_crc32di(crc, word);
}

// The instruction takes three cycles, and a new one may begin each cycle: three stretches at once keep it busy.
__attribute__((target("sse4.2"))) uint32_t crc_by_instruction(uint32_t crc, const char* data, size_t size) {
  static const ShiftTable shift = make_shift_table(kStretch);
  uint64_t a = crc;
  for (; size >= 3 * kStretch; data += 3 * kStretch, size -= 3 * kStretch) {
    uint64_t b = 0, c = 0;
    for (size_t i = 0; i < kStretch; i += 8) {
      a = crc_of_word(a, data + i);
      b = crc_of_word(b, data + kStretch + i);
      c = crc_of_word(c, data + 2 * kStretch + i);
    }
    b ^= shift_by(shift, static_cast<uint32_t>(a));
    a = c ^ shift_by(shift, static_cast<uint32_t>(b));
  }
  for (; size >= 8; data += 8, size -= 8) a = crc_of_word(a, data);
  crc = static_cast<uint32_t>(a);
  for (; size > 0; ++data, --size) crc = __builtin_ia32_crc32qi(crc, static_cast<unsigned char>(*data));
  return crc;
}
bool has_instruction() { return __builtin_cpu_supports("sse4.2"); }
#else
uint32_t crc_by_instruction(uint32_t crc, const char* data, size_t size) { return crc_by_table(crc, data, size); }
bool has_instruction() { return false; }
#endif

}  // namespace

uint32_t crc32c(uint32_t crc, const char* data, size_t size) {
  static const bool instruction = has_instruction();
  return ~(instruction ? crc_by_instruction(~crc, data, size) : crc_by_table(~crc, data, size));
}

uint32_t crc32c_combine(uint32_t crc_a, uint32_t crc_b, int64_t size_b) {
  BitMatrix power = one_zero_bit();
  for (int i = 0; i < 3; ++i) power = square(power);  // one byte
  for (; size_b > 0; size_b >>= 1, power = square(power))
    if (size_b & 1) crc_a = map_bits(power, crc_a);
  return crc_a ^ crc_b;
}

}  // namespace mox
