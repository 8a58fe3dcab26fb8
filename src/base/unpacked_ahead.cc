#include "base/unpacked_ahead.h"

#include <zlib.h>

#include <cstdint>
#include <fstream>
#include <future>

#include "base/mutex.h"

namespace mox {
namespace {

constexpr size_t kMostPacked = 1 << 28;
constexpr size_t kMostUnpacked = 1 << 30;
constexpr size_t kMostRatio = 1032;  // deflate's: a damaged size asks for no more memory than that
constexpr size_t kTrailer = 8;       // CRC-32, size

std::optional<std::string> read_packed(std::ifstream file) {
  file.seekg(0, std::ios::end);
  const std::streamoff size = file.tellg();
  if (size <= static_cast<std::streamoff>(kTrailer) || size > static_cast<std::streamoff>(kMostPacked)) return {};
  std::string packed(static_cast<size_t>(size), '\0');
  file.seekg(0);
  if (!file.read(packed.data(), size)) return {};
  return packed;
}

// As the trailer says. Of a file with several streams it is the last one's, which does not fit.
size_t unpacked_size(const std::string& packed) {
  size_t size = 0;
  for (size_t i = 0; i < 4; ++i)
    size |= static_cast<size_t>(static_cast<uint8_t>(packed[packed.size() - 4 + i])) << (8 * i);
  return size;
}

std::optional<UnpackedBytes> unpack(std::ifstream file) {
  const std::optional<std::string> packed = read_packed(std::move(file));
  if (!packed) return {};
  const size_t size = unpacked_size(*packed);
  if (size == 0 || size > kMostUnpacked || size / kMostRatio > packed->size()) return {};
  UnpackedBytes bytes{std::make_unique_for_overwrite<char[]>(size), size};
  z_stream stream{};
  if (inflateInit2(&stream, 15 + 16) != Z_OK) return {};
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed->data()));
  stream.avail_in = static_cast<uInt>(packed->size());
  stream.next_out = reinterpret_cast<Bytef*>(bytes.data.get());
  stream.avail_out = static_cast<uInt>(size);
  const bool whole = inflate(&stream, Z_FINISH) == Z_STREAM_END && stream.avail_in == 0 && stream.avail_out == 0;
  inflateEnd(&stream);
  if (!whole) return {};
  return bytes;
}

struct Ahead {
  Mutex mu;
  std::string path MOX_GUARDED_BY(mu);
  std::future<std::optional<UnpackedBytes>> result MOX_GUARDED_BY(mu);
};

Ahead& ahead() {
  static Ahead the_one;  // its end waits for the thread
  return the_one;
}

}  // namespace

void unpack_ahead(const std::string& path) {
  MutexLock lock(ahead().mu);
  if (ahead().result.valid()) return;
  std::ifstream file(path, std::ios::binary);
  if (!file) return;
  ahead().path = path;
  ahead().result = std::async(std::launch::async, [file = std::move(file)]() mutable -> std::optional<UnpackedBytes> {
    try {
      return unpack(std::move(file));
    } catch (const std::exception&) {  // no memory for it
      return {};
    }
  });
}

std::optional<UnpackedBytes> take_unpacked(const std::string& path) {
  MutexLock lock(ahead().mu);
  if (!ahead().result.valid() || ahead().path != path) return {};
  return ahead().result.get();
}

}  // namespace mox
