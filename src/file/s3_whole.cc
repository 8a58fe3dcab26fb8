#include "file/s3_whole.h"

#include <strings.h>

#include <set>

#include "base/mutex.h"
#include "file/config.h"
#include "file/s3_checksums.h"
#include "moxing/log.h"

namespace mox::file::s3 {
namespace {

bool same_digest(const std::string& a, const std::string& b) { return ::strcasecmp(a.c_str(), b.c_str()) == 0; }

void warn_no_md5(const Location& object) {
  static Mutex mu;
  static auto& warned MOX_GUARDED_BY(mu) =
      *new std::set<std::string>;  // never destroyed: background threads may still read at exit
  const std::string text = "'" + object.str() +
                           "': its ETag looks like an MD5 and is none (another tool's upload, or encryption): what was "
                           "read twice is the same, and was checked by its size only";
  MutexLock lock(mu);
  if (warned.insert(object.bucket).second)
    log_warning(text + "; further objects of this bucket are told at level debug");
  else
    log_debug(text);
}

// All bytes by two ranges: what changes bytes on the way changes others than in one answer.
void read_otherwise(const char* operation, const Location& object, const ObjectInfo& info,
                    const std::function<void(const char*, size_t)>& data) {
  const int64_t cut = info.size * 5 / 8;
  for (const auto& [from, to] : {std::pair<int64_t, int64_t>{0, cut}, {cut, info.size}})
    if (to > from)
      get(operation, object, {.offset = from, .length = to - from, .etag = info.etag, .size = info.size}, nullptr,
          data);
}

struct Arrived {
  ObjectInfo info;
  uint32_t crc = 0;
  std::string md5;  // "" when the store's CRC32C makes it needless
};

Arrived read_once(const char* operation, const Location& object, const KnownObject& known, const WholeSink& sink) {
  Arrived arrived;
  std::unique_ptr<Digest> md5;
  arrived.info = get(
      operation, object, {.etag = known.etag, .size = known.size, .ranged = false},
      [&](const ObjectInfo& info) {
        // The store's own CRC costs next to nothing; MD5 only for objects that have none.
        if (info.crc32c.empty() && info.etag_is_md5) md5 = std::make_unique<Digest>(Digest::Kind::kMd5);
        sink.begin(info);
      },
      [&](const char* data, size_t size) {
        md5 ? md5->update(data, size) : void(arrived.crc = crc32c(arrived.crc, data, size));
        sink.data(data, size);
      });
  if (md5) arrived.md5 = md5->hex();
  return arrived;
}

}  // namespace

void throw_corrupted(const char* operation, const Location& object, const std::string& expected,
                     const std::string& got) {
  throw WrongBytes(std::string(operation) + " '" + object.str() + "' at " + current_config()->endpoint() +
                       ": checksum mismatch: the store says " + expected + ", received " + got +
                       "; nothing of it was kept, try again",
                   {200, "ChecksumMismatch", "", "", current_config()->host, "/" + object.bucket + "/" + object.key});
}

void settle_md5(const char* operation, const Location& object, const ObjectInfo& info, const std::string& md5) {
  if (same_digest(md5, info.etag)) return;
  Digest second(Digest::Kind::kMd5);
  read_otherwise(operation, object, info, [&](const char* data, size_t size) { second.update(data, size); });
  if (second.hex() != md5) throw_corrupted(operation, object, info.etag, md5);
  warn_no_md5(object);
}

ContentCheck::ContentCheck(const ObjectInfo& info) : info_(info) {
  if (info.crc32c.empty() && info.etag_is_md5) md5_ = std::make_unique<Digest>(Digest::Kind::kMd5);
}

void ContentCheck::update(const char* data, size_t size) {
  if (md5_)
    md5_->update(data, size);
  else
    crc_ = crc32c(crc_, data, size);
}

void ContentCheck::verify(const char* operation, const Location& object) {
  if (md5_) {
    settle_md5(operation, object, info_, md5_->hex());
    return;
  }
  if (info_.crc32c.empty() && info_.size > 0 && checksums_supported()) {
    const auto there = head(operation, object);
    if (!there || there->etag != info_.etag || there->size != info_.size) return;  // another one by now
    info_.crc32c = there->crc32c;
  }
  if (!info_.crc32c.empty() && crc32c_base64(crc_) != info_.crc32c)
    throw_corrupted(operation, object, info_.crc32c, crc32c_base64(crc_));
}

ObjectInfo get_whole(const char* operation, const Location& object, const KnownObject& known, const WholeSink& sink) {
  const Arrived first = read_once(operation, object, known, sink);
  const ObjectInfo& info = first.info;
  const bool by_md5 = !first.md5.empty();
  if (by_md5 ? same_digest(first.md5, info.etag) : info.crc32c.empty() || crc32c_base64(first.crc) == info.crc32c)
    return info;
  log_debug(std::string(operation) + " '" + object.str() + "': the checksum does not fit, reading it once more");
  Digest md5(Digest::Kind::kMd5);
  uint32_t crc = 0;
  sink.begin(info);
  read_otherwise(operation, object, info, [&](const char* data, size_t size) {
    by_md5 ? md5.update(data, size) : void(crc = crc32c(crc, data, size));
    sink.data(data, size);
  });
  if (!by_md5) {
    if (crc32c_base64(crc) != info.crc32c) throw_corrupted(operation, object, info.crc32c, crc32c_base64(crc));
    return info;
  }
  const std::string second = md5.hex();
  if (same_digest(second, info.etag)) return info;
  if (second != first.md5) throw_corrupted(operation, object, info.etag, second);
  warn_no_md5(object);
  return info;
}

}  // namespace mox::file::s3
