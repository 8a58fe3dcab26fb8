#include "file/local_stream.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace mox::file {
namespace {

int open_flags(const OpenMode& mode) {
  int flags = mode.read && mode.write ? O_RDWR : mode.write ? O_WRONLY : O_RDONLY;
  if (mode.append) flags |= O_APPEND;
  if (mode.truncate) flags |= O_TRUNC;
  if (mode.create) flags |= O_CREAT;
  return flags;
}

}  // namespace

LocalStream::LocalStream(const std::string& path, const OpenMode& mode)
    : path_(path), file_("open", path, open_flags(mode)) {
  struct ::stat st;
  if (::fstat(file_.get(), &st) == 0 && S_ISDIR(st.st_mode)) throw_errno("open", path, EISDIR);
  seekable_ = ::lseek(file_.get(), 0, mode.append ? SEEK_END : SEEK_CUR) >= 0;
}

int64_t LocalStream::read(char* data, int64_t size) {
  int64_t total = 0;
  while (total < size) {
    const ssize_t got = ::read(file_.get(), data + total, static_cast<size_t>(size - total));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_errno("read", path_, errno);
    if (got == 0) break;
    total += got;
    if (!seekable_) break;  // a pipe: give what there is
  }
  return total;
}

void LocalStream::write(const char* data, int64_t size) { write_fully(file_.get(), data, size, path_); }

int64_t LocalStream::seek(int64_t offset, int whence) {
  const off_t position = ::lseek(file_.get(), offset, whence);
  if (position < 0) throw_errno("seek", path_, errno);
  return position;
}

int64_t LocalStream::tell() const {
  const off_t position = ::lseek(file_.get(), 0, SEEK_CUR);
  if (position < 0) throw_errno("tell", path_, errno);
  return position;
}

int64_t LocalStream::size() {
  struct ::stat st;
  if (::fstat(file_.get(), &st) != 0) throw_errno("size", path_, errno);
  return st.st_size;
}

void LocalStream::truncate(int64_t size) {
  if (::ftruncate(file_.get(), size) != 0) throw_errno("truncate", path_, errno);
}

void LocalStream::flush() {}  // write(2) is visible at once

void LocalStream::close() { file_.close("close", path_); }

}  // namespace mox::file
