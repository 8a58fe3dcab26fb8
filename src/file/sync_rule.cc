#include "file/sync_rule.h"

#include <fcntl.h>
#include <strings.h>

#include <cstdlib>
#include <vector>

#include "file/checksum.h"
#include "file/local_file_system.h"
#include "file/s3_client.h"

namespace mox::file {
namespace {

// A store's clock knows whole seconds, and it is not this machine's clock.
constexpr int64_t kTooClose = 2000000000;

bool is_md5(const std::string& etag) { return etag.size() == 32 && etag.find('-') == std::string::npos; }

template <typename Update>
void for_each_block(const std::string& path, const Update& update) {
  Descriptor file("sync", path, O_RDONLY);
  std::vector<char> buffer(1 << 20);
  for (int64_t at = 0;;) {
    const int64_t got = pread_fully(file.get(), buffer.data(), 1 << 20, at, path);
    if (got == 0) return;
    update(buffer.data(), static_cast<size_t>(got));
    at += got;
  }
}

bool local_content_differs(const std::string& a, const std::string& b) {
  uint32_t crc_a = 0, crc_b = 0;
  for_each_block(a, [&](const char* data, size_t size) { crc_a = crc32c(crc_a, data, size); });
  for_each_block(b, [&](const char* data, size_t size) { crc_b = crc32c(crc_b, data, size); });
  return crc_a != crc_b;
}

// Differs, too, when the store offers nothing to compare with.
bool content_differs(const std::string& path, const Location& object) {
  const auto info = s3::head("sync", object);
  if (!info) return true;
  if (!info->crc32c.empty()) {
    uint32_t crc = 0;
    for_each_block(path, [&](const char* data, size_t size) { crc = crc32c(crc, data, size); });
    return crc32c_base64(crc) != info->crc32c;
  }
  if (!info->etag_is_md5) return true;
  Digest md5(Digest::Kind::kMd5);
  for_each_block(path, [&](const char* data, size_t size) { md5.update(data, size); });
  return ::strcasecmp(md5.hex().c_str(), info->etag.c_str()) != 0;
}

}  // namespace

bool differs(const Location& src, const Stat& src_stat, const Location& dst, const Stat& dst_stat) {
  if (src_stat.length != dst_stat.length) return true;
  const int64_t newer = dst_stat.mtime_nsec - src_stat.mtime_nsec;  // by which the destination is
  if (!src.is_local() && !dst.is_local()) {
    if (src_stat.etag == dst_stat.etag) return false;
    return (is_md5(src_stat.etag) && is_md5(dst_stat.etag)) || newer < 0;
  }
  if (newer > kTooClose) return false;
  if (!src.is_local() && newer == 0) return false;  // a download takes over the object's time
  if (src.is_local() && dst.is_local()) return newer < -kTooClose || local_content_differs(src.path, dst.path);
  return src.is_local() ? content_differs(src.path, dst) : content_differs(dst.path, src);
}

}  // namespace mox::file
