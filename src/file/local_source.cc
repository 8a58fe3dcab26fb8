#include "file/local_source.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "moxing/file_error.h"

namespace mox::file {
namespace {

int64_t mtime_of(const struct ::stat& st) {
  return static_cast<int64_t>(st.st_mtim.tv_sec) * 1000000000 + st.st_mtim.tv_nsec;
}

}  // namespace

LocalSource::LocalSource(const std::string& from) : path(from), file("copy", from, O_RDONLY) {
  struct ::stat st;
  if (::fstat(file.get(), &st) != 0) throw_errno("copy", path, errno);
  if (S_ISDIR(st.st_mode)) throw_errno("copy", path, EISDIR);
  size = st.st_size;
  mtime_nsec = mtime_of(st);
  is_regular = S_ISREG(st.st_mode);
}

void LocalSource::check_unchanged() const {
  struct ::stat st;
  if (!is_regular || ::fstat(file.get(), &st) != 0) return;
  // The time of a file of /proc is the time at which somebody looked.
  if (st.st_size == size && (size == 0 || mtime_of(st) == mtime_nsec)) return;
  const std::string what = st.st_size == size  ? "was rewritten"
                           : st.st_size < size ? "shrank to " + std::to_string(st.st_size) + " bytes"
                                               : "grew to " + std::to_string(st.st_size) + " bytes";
  throw MoxFileReadException("copy '" + path + "': the file changed while it was copied: it had " +
                                 std::to_string(size) + " bytes and " + what +
                                 "; copy it again when nobody writes to it",
                             {});
}

}  // namespace mox::file
