#include <cstring>
#include <string>

#include "data/decode_image.h"

namespace mox::data {

namespace {

constexpr size_t kFileHeader = 14;

struct BmpHeader {
  uint32_t pixels_at = 0;
  uint32_t header_size = 0;
  int64_t width = 0;
  int64_t height = 0;
  bool bottom_up = true;
  int bits = 0;
  uint32_t compression = 0;
  uint32_t colors = 0;
};

template <typename T>
T little_endian(std::string_view content, size_t offset) {
  T value;
  std::memcpy(&value, content.data() + offset, sizeof value);
  return value;
}

absl::Status read_header(std::string_view content, BmpHeader* header) {
  if (content.size() < kFileHeader + 40)
    return absl::DataLossError("the BMP header is cut off at byte " + std::to_string(content.size()));
  header->pixels_at = little_endian<uint32_t>(content, 10);
  header->header_size = little_endian<uint32_t>(content, 14);
  header->width = little_endian<int32_t>(content, 18);
  const int64_t height = little_endian<int32_t>(content, 22);
  header->bottom_up = height > 0;
  header->height = height > 0 ? height : -height;
  header->bits = little_endian<uint16_t>(content, 28);
  header->compression = little_endian<uint32_t>(content, 30);
  header->colors = little_endian<uint32_t>(content, 46);
  constexpr uint32_t kRgb = 0, kBitFields = 3;
  const bool plain = header->compression == kRgb || (header->compression == kBitFields && header->bits == 32);
  const int b = header->bits;
  if (header->header_size < 40 || !plain || (b != 1 && b != 4 && b != 8 && b != 24 && b != 32))
    return absl::InvalidArgumentError("a BMP of " + std::to_string(b) + " bits and compression " +
                                      std::to_string(header->compression) +
                                      " is not read; expected an uncompressed one of 1, 4, 8, 24 or 32 bits");
  constexpr int64_t kMaxSide = 1 << 16;
  if (header->width <= 0 || header->height <= 0 || header->width > kMaxSide || header->height > kMaxSide)
    return absl::DataLossError("the BMP header says " + std::to_string(header->width) + "x" + std::to_string(height));
  if (header->colors == 0 && b <= 8) header->colors = 1u << b;
  return absl::OkStatus();
}

}  // namespace

absl::Status decode_bmp(std::string_view content, const std::function<uint8_t*(int64_t, int64_t)>& allocate) {
  BmpHeader header;
  if (auto status = read_header(content, &header); !status.ok()) return status;
  const size_t palette_at = kFileHeader + header.header_size;
  const size_t stride = (static_cast<size_t>(header.width) * header.bits + 31) / 32 * 4;
  const size_t needed = header.pixels_at + stride * static_cast<size_t>(header.height);
  const size_t palette_size = header.bits <= 8 ? size_t{4} * header.colors : 0;
  if (content.size() < needed || palette_at > content.size() || content.size() - palette_at < palette_size)
    return absl::DataLossError("the BMP is cut off at byte " + std::to_string(content.size()) + ", expected " +
                               std::to_string(std::max(needed, palette_at + palette_size)));
  uint8_t* out = allocate(header.height, header.width);
  if (!out)
    return absl::DataLossError("the BMP's header tells of " + std::to_string(header.width) + "x" +
                               std::to_string(header.height) + " pixels, which is too much");
  for (int64_t y = 0; y < header.height; ++y) {
    const int64_t row_number = header.bottom_up ? header.height - 1 - y : y;
    const auto* row = reinterpret_cast<const uint8_t*>(content.data()) + header.pixels_at + stride * row_number;
    for (int64_t x = 0; x < header.width; ++x, out += 3) {
      const uint8_t* bgr;
      if (header.bits >= 24) {
        bgr = row + x * header.bits / 8;
      } else {
        const int64_t bit = x * header.bits;
        const uint32_t index = row[bit / 8] >> (8 - header.bits - bit % 8) & ((1 << header.bits) - 1);
        if (index >= header.colors)
          return absl::DataLossError("a BMP pixel has colour " + std::to_string(index) + " of a palette of " +
                                     std::to_string(header.colors));
        bgr = reinterpret_cast<const uint8_t*>(content.data()) + palette_at + 4 * index;
      }
      out[0] = bgr[2];
      out[1] = bgr[1];
      out[2] = bgr[0];
    }
  }
  return absl::OkStatus();
}

}  // namespace mox::data
