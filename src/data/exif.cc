#include <algorithm>

#include "data/decode_image.h"

namespace mox::data {

namespace {

// Numbers of a TIFF block, either byte order; 0 outside of it.
class TiffBlock {
 public:
  explicit TiffBlock(std::string_view bytes) : bytes_(bytes), little_(bytes.substr(0, 2) == "II") {}
  uint32_t number(size_t at, size_t size) const {
    if (at > bytes_.size() || bytes_.size() - at < size) return 0;
    uint32_t value = 0;
    for (size_t i = 0; i < size; ++i) {
      const size_t from = little_ ? at + size - 1 - i : at + i;
      value = value << 8 | static_cast<uint8_t>(bytes_[from]);
    }
    return value;
  }

 private:
  std::string_view bytes_;
  bool little_;
};

int orientation_of(std::string_view tiff) {
  constexpr uint32_t kOrientationTag = 0x0112;
  const TiffBlock block(tiff);
  const size_t directory = block.number(4, 4);
  const uint32_t entries = block.number(directory, 2);
  for (uint32_t i = 0; i < entries; ++i) {
    const size_t entry = directory + 2 + size_t{12} * i;
    if (block.number(entry, 2) != kOrientationTag) continue;
    const uint32_t value = block.number(entry + 8, 2);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

constexpr uint8_t kScan = 0xda, kExif = 0xe1;

// The segments before the pixels, one after the other.
class JpegSegments {
 public:
  explicit JpegSegments(std::string_view jpeg) : jpeg_(jpeg) {}
  // False where the pixels begin, and where no segment does.
  bool next() {
    at_ = next_;
    if (at_ + 4 > jpeg_.size() || byte(at_) != 0xff || marker() == kScan) return false;
    const size_t length = size_t{byte(at_ + 2)} << 8 | byte(at_ + 3);
    if (length < 2) return false;
    body_ = jpeg_.substr(at_ + 4, length - 2);
    next_ = at_ + 2 + length;
    return true;
  }
  uint8_t marker() const { return byte(at_ + 1); }
  std::string_view body() const { return body_; }
  size_t at() const { return at_; }

 private:
  uint8_t byte(size_t at) const { return static_cast<uint8_t>(jpeg_[at]); }
  std::string_view jpeg_, body_;
  size_t at_ = 0, next_ = 2;
};

}  // namespace

size_t jpeg_scan(std::string_view jpeg) {
  JpegSegments segments(jpeg);
  while (segments.next()) {
  }
  return std::min(segments.at(), jpeg.size());
}

bool jpeg_size(std::string_view jpeg, int64_t* height, int64_t* width) {
  for (JpegSegments segments(jpeg); segments.next();) {
    const uint8_t marker = segments.marker();
    // Of the markers of frames, three are something else.
    if (marker < 0xc0 || marker > 0xcf || marker == 0xc4 || marker == 0xc8 || marker == 0xcc) continue;
    const std::string_view body = segments.body();
    if (body.size() < 5) return false;
    const auto number = [&](size_t at) {
      return int64_t{static_cast<uint8_t>(body[at])} << 8 | static_cast<uint8_t>(body[at + 1]);
    };
    *height = number(1);
    *width = number(3);
    return *height > 0 && *width > 0;  // a height of 0 is told after the pixels
  }
  return false;
}

int exif_orientation(std::string_view jpeg) {
  for (JpegSegments segments(jpeg); segments.next();)
    if (segments.marker() == kExif && segments.body().substr(0, 6) == std::string_view("Exif\0\0", 6))
      return orientation_of(segments.body().substr(6));
  return 1;
}

}  // namespace mox::data
