#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "file/s3_streams.h"
#include "file/s3_transfer.h"
#include "file/s3_whole.h"

namespace mox::file {
namespace {

// A file without a name: it is gone when the process ends, however it ends.
Descriptor open_spool() {
  const char* folder = std::getenv("TMPDIR");
  std::string pattern = std::string(folder && *folder ? folder : "/tmp") + "/moxing-XXXXXX";
  const int fd = ::mkostemp(pattern.data(), O_CLOEXEC);
  if (fd < 0) throw_errno("open a spool file", pattern, errno);
  ::unlink(pattern.c_str());
  return Descriptor(fd);
}

}  // namespace

S3SpoolStream::S3SpoolStream(const Location& object, const OpenMode& mode)
    : object_(object), spool_(open_spool()), append_(mode.append) {
  if (mode.truncate) {
    dirty_ = true;
    return;
  }
  if (mode.create && !s3::head("open", object)) {
    dirty_ = true;
    return;
  }
  int64_t received = 0;
  s3::get_whole("open", object, {},
                {.begin = [&](const s3::ObjectInfo&) { received = 0; },
                 .data =
                     [&](const char* data, size_t size) {
                       pwrite_fully(spool_.get(), data, static_cast<int64_t>(size), received, "spool file");
                       received += static_cast<int64_t>(size);
                     }});
  if (append_) position_ = received;
}

int64_t S3SpoolStream::read(char* data, int64_t size) {
  const int64_t got = pread_fully(spool_.get(), data, size, position_, "spool file");
  position_ += got;
  return got;
}

void S3SpoolStream::write(const char* data, int64_t size) {
  if (closed_) throw OsError(EBADF, "write '" + object_.str() + "': the file is closed");
  if (append_) position_ = this->size();
  pwrite_fully(spool_.get(), data, size, position_, "spool file");
  position_ += size;
  dirty_ = dirty_ || size > 0;
}

int64_t S3SpoolStream::seek(int64_t offset, int whence) {
  const int64_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? position_ : size();
  int64_t wanted = 0;
  if (__builtin_add_overflow(base, offset, &wanted) || wanted < 0)
    throw OsError(EINVAL, "seek '" + object_.str() + "': " + std::to_string(base) + " and " + std::to_string(offset) +
                              " make no position; expected one from 0");
  return position_ = wanted;
}

int64_t S3SpoolStream::size() {
  struct ::stat st;
  if (::fstat(spool_.get(), &st) != 0) throw_errno("size", "spool file", errno);
  return st.st_size;
}

void S3SpoolStream::truncate(int64_t size) {
  if (::ftruncate(spool_.get(), size) != 0) throw_errno("truncate", "spool file", errno);
  dirty_ = true;
}

void S3SpoolStream::flush() {
  if (closed_ || !dirty_) return;
  upload_body("write", object_, body_of_file(spool_.get(), size(), "spool file"));
  dirty_ = false;
}

void S3SpoolStream::close() {
  flush();
  closed_ = true;
}

}  // namespace mox::file
