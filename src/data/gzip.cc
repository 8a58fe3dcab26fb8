#include <zlib.h>

#include "data/storage.h"
#include "moxing/error.h"

namespace mox::data {

namespace {

constexpr int64_t kMostUnpacked = 1 << 30;

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
  std::string unpacked;
  std::string block(1 << 20, '\0');
  int code = Z_OK;
  while (code != Z_STREAM_END) {
    stream.next_out = reinterpret_cast<Bytef*>(block.data());
    stream.avail_out = static_cast<uInt>(block.size());
    code = inflate(&stream, Z_NO_FLUSH);
    if (code != Z_OK && code != Z_STREAM_END)
      throw DataError("data file " + path + " is damaged at byte " + std::to_string(stream.total_in) + " of " +
                      std::to_string(content.size()) + ": " +
                      (code == Z_BUF_ERROR ? "the gzip stream ends too early" : "not a valid gzip stream") +
                      "; fetch it again");
    if (static_cast<int64_t>(unpacked.size()) > kMostUnpacked)
      throw DataError("data file " + path + " unpacks to more than " + std::to_string(kMostUnpacked) +
                      " bytes, which no data set that is read so has; fetch it again");
    unpacked.append(block.data(), block.size() - stream.avail_out);
    // gzip files may be several members in a row.
    if (code == Z_STREAM_END && stream.avail_in > 0 && stream.next_in[0] == 0x1f) {
      inflateReset(&stream);
      code = Z_OK;
    }
  }
  return unpacked;
}

}  // namespace mox::data
