#include "data/pixel_file.h"

#include <cstring>

#include "data/decode_image.h"
#include "data/resize_loops.h"

namespace mox::data {

namespace {

struct Header {
  char magic[8];
  uint32_t height, width;
};
constexpr char kMagic[8] = {'M', 'O', 'X', 'P', 'I', 'X', '0', '1'};

size_t file_size(int64_t height, int64_t width) {
  return sizeof(Header) + static_cast<size_t>(height) * static_cast<size_t>(width) * 3 + kRowSlack;
}

}  // namespace

bool read_pixel_file(std::string_view content, PixelFile* file) {
  Header header;
  if (content.size() < sizeof header || std::memcmp(content.data(), kMagic, sizeof kMagic) != 0) return false;
  std::memcpy(&header, content.data(), sizeof header);
  constexpr uint32_t kMostSide = 1 << 24;  // no product overflows
  if (header.height == 0 || header.width == 0 || header.height > kMostSide || header.width > kMostSide) return false;
  if (content.size() != file_size(header.height, header.width)) return false;
  *file = {header.height, header.width, reinterpret_cast<const uint8_t*>(content.data()) + sizeof header};
  return true;
}

absl::Status make_pixel_file(std::string_view content, const DecodeOptions& options, tensorflow::tstring* file) {
  return decode_image(content, options, [&](int64_t height, int64_t width) {
    file->resize_uninitialized(file_size(height, width));
    Header header{{}, static_cast<uint32_t>(height), static_cast<uint32_t>(width)};
    std::memcpy(header.magic, kMagic, sizeof kMagic);
    std::memcpy(file->mdata(), &header, sizeof header);
    std::memset(file->mdata() + file->size() - kRowSlack, 0, kRowSlack);
    return reinterpret_cast<uint8_t*>(file->mdata()) + sizeof header;
  });
}

std::string pixel_key(const DecodeOptions& options) {
  std::string key(kMagic, sizeof kMagic);
  for (const int64_t number : {options.height, options.width, int64_t{options.apply_exif}, int64_t{options.background}})
    key += " " + std::to_string(number);
  return key;
}

}  // namespace mox::data
