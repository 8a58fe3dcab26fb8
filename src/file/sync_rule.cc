#include "file/sync_rule.h"

#include <fcntl.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>

#include "file/checksum.h"
#include "file/copy_local.h"
#include "file/file_system.h"
#include "file/local_file_system.h"
#include "file/s3_client.h"
#include "file/s3_object_info.h"
#include "moxing/log.h"

namespace mox::file {
namespace {

constexpr int64_t kBlock = 1 << 20;
constexpr int64_t kSecond = 1000000000;

bool is_md5(const std::string& etag) { return etag.size() == 32 && etag.find('-') == std::string::npos; }

template <typename Update>
void for_each_block(const std::string& path, const Update& update) {
  const Descriptor file("sync", path, O_RDONLY);
  const auto buffer = std::make_unique_for_overwrite<char[]>(kBlock);
  for (int64_t at = 0;;) {
    const int64_t got = pread_fully(file.get(), buffer.get(), kBlock, at, path);
    if (got == 0) return;
    update(buffer.get(), static_cast<size_t>(got));
    at += got;
  }
}

uint32_t crc_of(const char* operation, const Location& file) {
  uint32_t crc = 0;
  const auto update = [&](const char* data, size_t size) { crc = crc32c(crc, data, size); };
  if (file.is_local()) {
    for_each_block(file.path, update);
  } else if (is_store(file)) {
    s3::get(operation, file, {}, nullptr, update);
  } else {
    const auto in = file_system(file).open(file, parse_mode("rb"));
    const auto buffer = std::make_unique_for_overwrite<char[]>(kBlock);
    while (const int64_t got = in->read(buffer.get(), kBlock)) update(buffer.get(), static_cast<size_t>(got));
    in->close();
  }
  return crc;
}

bool has_crc32c(const std::string& path, const std::string& expected) {
  return crc32c_base64(crc_of("sync", {"", "", "", path})) == expected;
}

bool has_md5(const std::string& path, const std::string& expected) {
  Digest md5(Digest::Kind::kMd5);
  for_each_block(path, [&](const char* data, size_t size) { md5.update(data, size); });
  return ::strcasecmp(md5.hex().c_str(), expected.c_str()) == 0;
}

bool same_local_content(const std::string& a, const std::string& b) {
  const Descriptor file_a("sync", a, O_RDONLY), file_b("sync", b, O_RDONLY);
  const auto of_a = std::make_unique_for_overwrite<char[]>(kBlock),
             of_b = std::make_unique_for_overwrite<char[]>(kBlock);
  for (int64_t at = 0;;) {
    const int64_t got = pread_fully(file_a.get(), of_a.get(), kBlock, at, a);
    if (pread_fully(file_b.get(), of_b.get(), kBlock, at, b) != got) return false;
    if (got == 0) return true;
    if (std::memcmp(of_a.get(), of_b.get(), static_cast<size_t>(got)) != 0) return false;
    at += got;
  }
}

// nullopt: the store has no checksum of the object.
std::optional<bool> matches(const std::string& path, const s3::ObjectInfo& object) {
  if (!object.crc32c.empty()) return has_crc32c(path, object.crc32c);
  if (object.etag_is_md5) return has_md5(path, object.etag);
  return std::nullopt;
}

std::optional<bool> matches(const s3::ObjectInfo& a, const s3::ObjectInfo& b) {
  if (!a.etag.empty() && a.etag == b.etag) return true;
  if (!a.crc32c.empty() && !b.crc32c.empty()) return a.crc32c == b.crc32c;
  if (a.etag_is_md5 && b.etag_is_md5) return ::strcasecmp(a.etag.c_str(), b.etag.c_str()) == 0;
  return std::nullopt;
}

bool upload_differs(const Location& src, const Stat& src_stat, const Location& dst, const Stat& dst_stat) {
  if (is_md5(dst_stat.etag) && has_md5(src.path, dst_stat.etag)) return false;  // told by the listing: no request
  const auto object = s3::head("sync", dst);
  if (!object || object->size != src_stat.length) return true;
  if (const auto same = matches(src.path, *object)) return !*same;
  return object->source_mtime != std::to_string(src_stat.mtime_nsec);
}

// The next sync then sees by the time alone that both are the same. Only a convenience: what fails here is no failure.
void take_over_time(const std::string& path, int64_t mtime_nsec) {
  if (settled_time(mtime_nsec) != mtime_nsec) return;  // of this very moment: it may change once more and keep its time
  const timespec when{static_cast<time_t>(mtime_nsec / kSecond), static_cast<long>(mtime_nsec % kSecond)};
  const timespec times[2] = {{0, UTIME_OMIT}, when};
  ::utimensat(AT_FDCWD, path.c_str(), times, 0);
}

// Listings of stores tell parts of a second that the time of a download does not have.
int64_t time_of_copy(const Location& src, int64_t mtime_nsec) {
  return is_store(src) ? mtime_nsec / kSecond * kSecond : mtime_nsec;
}

[[noreturn]] void throw_not_moved(const char* operation, const Location& src, const Location& dst,
                                  const std::string& what) {
  throw DataError(std::string(operation) + " '" + src.str() + "' to '" + dst.str() + "': " + what +
                  "; the source was left where it is");
}

// `now`: what the store says of the source now.
bool is_unchanged(const Location& src, const Stat& st, const std::optional<s3::ObjectInfo>& now) {
  if (!is_store(src)) {
    const auto there = file_system(src).stat(src);
    return there && there->length == st.length && there->mtime_nsec == st.mtime_nsec && there->etag == st.etag;
  }
  const bool other_etag = now && !st.etag.empty() && !now->etag.empty() &&
                          s3::without_weak_mark(now->etag) != s3::without_weak_mark(st.etag);
  return now && now->size == st.length && !other_etag;
}

void flush_to_disk(const char* operation, const Location& dst) {
  const Descriptor file(operation, dst.path, O_RDONLY);
  if (::fsync(file.get()) != 0 && errno != EINVAL && errno != EROFS) throw_errno(operation, dst.path, errno);
}

}  // namespace

Listed compare_listed(const Location& src, const Stat& src_stat, const Location& dst, const Stat& dst_stat) {
  if (src_stat.length != dst_stat.length) return Listed::kDifferent;
  if (dst.is_local()) {
    const int64_t time = time_of_copy(src, src_stat.mtime_nsec);
    // Within one moment several contents can have one time.
    return time == dst_stat.mtime_nsec && settled_time(time) == time ? Listed::kSame : Listed::kUnknown;
  }
  if (is_same_storage(src, dst) && !src_stat.etag.empty() && src_stat.etag == dst_stat.etag) return Listed::kSame;
  return Listed::kUnknown;
}

bool differs(const Location& src, const Stat& src_stat, const Location& dst, const Stat& dst_stat) {
  const bool only_streams = (!src.is_local() && !is_store(src)) || (!dst.is_local() && !is_store(dst));
  if (src.is_local() && is_store(dst)) return upload_differs(src, src_stat, dst, dst_stat);
  bool same = false;
  if (only_streams) {
    same = crc_of("sync", src) == crc_of("sync", dst);
  } else if (src.is_local()) {
    same = same_local_content(src.path, dst.path);
  } else {
    const auto from = s3::head("sync", src);
    if (!from || from->size != dst_stat.length) return true;
    if (!dst.is_local()) {
      const auto to = s3::head("sync", dst);
      if (!to || to->size != from->size) return true;
      return !matches(*from, *to).value_or(!from->etag.empty() && to->copied_from == from->etag);
    }
    same = matches(dst.path, *from).value_or(false);
  }
  if (same && dst.is_local()) take_over_time(dst.path, time_of_copy(src, src_stat.mtime_nsec));
  return !same;
}

void check_moved(const char* operation, const Location& src, const Stat& st, const Location& dst) {
  const auto from = is_store(src) ? s3::head(operation, src) : std::nullopt;
  const auto to = is_store(dst) ? s3::head(operation, dst) : std::nullopt;
  if (!is_unchanged(src, st, from)) throw_not_moved(operation, src, dst, "the source changed while it was copied");
  const auto copied = is_store(dst) ? std::nullopt : file_system(dst).stat(dst);
  if (is_store(dst) ? !to : !copied || copied->is_directory)
    throw_not_moved(operation, src, dst, "nothing is at the destination after the copy");
  const int64_t size = is_store(dst) ? to->size : copied->length;
  if (size != st.length)
    throw_not_moved(
        operation, src, dst,
        "the destination has " + std::to_string(size) + " bytes, the source had " + std::to_string(st.length));
  std::optional<bool> same;
  if (from && to)
    same = matches(*from, *to);
  else if (from && dst.is_local())
    same = matches(dst.path, *from);
  else if (to && src.is_local())
    same = matches(src.path, *to);
  // An ETag may look like an MD5 and be none (encryption, other stores): then the bytes themselves are compared.
  const bool has_crc = (!from || !from->crc32c.empty()) && (!to || !to->crc32c.empty());
  if (!same.value_or(true) && (has_crc || crc_of(operation, src) != crc_of(operation, dst)))
    throw_not_moved(operation, src, dst, "the destination has another checksum than the source");
  if (!same.value_or(true))
    log_warning(std::string(operation) + " '" + src.str() + "' to '" + dst.str() +
                "': the store's ETag is no MD5 of the content; both were read and are the same");
  if (dst.is_local()) flush_to_disk(operation, dst);
}

}  // namespace mox::file
