#include <zlib.h>

#include <algorithm>

#include "data/storage.h"
#include "moxing/error.h"

namespace mox::data {

namespace {

constexpr int64_t kMostUnpacked = 1 << 30;
constexpr size_t kLeast = 1 << 16;

// What a gzip file says of its size, in its last four bytes (of the last member, and of a broken file nothing true),
// and a byte more, so that the end is met with room left. Not far more than images have been packed to.
size_t size_by_trailer(const std::string& content) {
  constexpr size_t kTrailer = 4, kMostRatio = 64;
  size_t size = 0;
  for (size_t i = 0; i < std::min(kTrailer, content.size()); ++i)
    size = size << 8 | static_cast<uint8_t>(content[content.size() - 1 - i]);
  return std::clamp(size + 1, kLeast, std::min<size_t>(kMostUnpacked, kMostRatio * content.size() + kLeast));
}

struct Inflater {
  z_stream stream{};
  Inflater() {
    if (inflateInit2(&stream, 15 + 16) != Z_OK) throw RunError("zlib could not be started");
  }
  ~Inflater() { inflateEnd(&stream); }
};

}  // namespace

std::string gunzip_if_packed(const std::string& path, std::string content) {
  if (content.size() < 2 || content[0] != '\x1f' || content[1] != '\x8b') return content;
  Inflater inflater;
  z_stream& stream = inflater.stream;
  stream.next_in = reinterpret_cast<Bytef*>(content.data());
  stream.avail_in = static_cast<uInt>(content.size());
  std::string unpacked(size_by_trailer(content), '\0');
  size_t filled = 0;
  int code = Z_OK;
  while (code != Z_STREAM_END) {
    if (filled == unpacked.size()) unpacked.resize(filled + filled / 2 + kLeast);
    const size_t room = unpacked.size() - filled;
    stream.next_out = reinterpret_cast<Bytef*>(unpacked.data()) + filled;
    stream.avail_out = static_cast<uInt>(room);
    code = inflate(&stream, Z_NO_FLUSH);
    if (code != Z_OK && code != Z_STREAM_END)
      throw DataError("data file " + path + " is damaged at byte " + std::to_string(stream.total_in) + " of " +
                      std::to_string(content.size()) + ": " +
                      (code == Z_BUF_ERROR ? "the gzip stream ends too early" : "not a valid gzip stream") +
                      "; fetch it again");
    filled += room - stream.avail_out;
    if (static_cast<int64_t>(filled) > kMostUnpacked)
      throw DataError("data file " + path + " unpacks to more than " + std::to_string(kMostUnpacked) +
                      " bytes, which no data set that is read so has; fetch it again");
    // gzip files may be several members in a row.
    if (code == Z_STREAM_END && stream.avail_in > 0 && stream.next_in[0] == 0x1f) {
      inflateReset(&stream);
      code = Z_OK;
    }
  }
  unpacked.resize(filled);
  return unpacked;
}

}  // namespace mox::data
