#include "data/read_file.h"

#include <zlib.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "moxing/error.h"

namespace mox::data {

std::string read_whole_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    const std::string reason = std::strerror(errno);
    if (!file_exists(path)) throw NotFoundError("data file " + path + " does not exist");
    throw DataError("data file " + path + " cannot be opened: " + reason);
  }
  std::string content((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (file.bad()) throw DataError("data file " + path + " could not be read to its end: " + std::strerror(errno));
  return content;
}

bool file_exists(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

std::string join_path(const std::string& folder, const std::string& name) {
  if (folder.empty() || folder.back() == '/') return folder + name;
  return folder + "/" + name;
}

namespace {

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
