#include "file/copy_local.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <vector>

#include "file/local_source.h"

namespace mox::file {
namespace {

constexpr int64_t kBufferSize = 1 << 20;

// How many bytes the kernel copied: fewer than `size` when the source ended before; -1 when it cannot copy these.
int64_t copy_in_kernel(int in, int out, int64_t size) {
  int64_t done = 0;
  while (done < size) {
    const ssize_t n = ::copy_file_range(in, nullptr, out, nullptr, static_cast<size_t>(size - done), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 || (n == 0 && done == 0)) return -1;
    if (n == 0) break;
    done += n;
  }
  return done;
}

// To the end of what is there, whatever size it was said to have.
template <typename Write>
int64_t copy_through_buffer(const LocalSource& in, const Write& write) {
  std::vector<char> buffer(kBufferSize);
  if (in.is_regular) ::lseek(in.file.get(), 0, SEEK_SET);
  for (int64_t total = 0;;) {
    const ssize_t got = ::read(in.file.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_errno("copy", in.path, errno);
    if (got == 0) return total;
    write(buffer.data(), got, total);
    total += got;
    // Somebody appends as fast as this reads: without a look now and then it would never end.
    if (in.size > 0 && total > in.size) in.check_unchanged();
  }
}

}  // namespace

int64_t settled_time(int64_t mtime_nsec) {
  constexpr int64_t kSecond = 1000000000;
  const bool fresh = std::time(nullptr) - mtime_nsec / kSecond < 2;
  return fresh ? mtime_nsec - kSecond : mtime_nsec;
}

int64_t copy_local_file(const std::string& src, const std::string& dst, bool keep_time) {
  const LocalSource in(src);
  struct ::stat st, there;
  if (::fstat(in.file.get(), &st) != 0) throw_errno("copy", src, errno);
  const bool replaces = ::stat(dst.c_str(), &there) == 0;
  if (replaces && there.st_dev == st.st_dev && there.st_ino == st.st_ino) return 0;  // the same file
  if (replaces && !S_ISREG(there.st_mode) && !S_ISDIR(there.st_mode)) {
    Descriptor out("copy", dst, O_WRONLY);
    const int64_t total = copy_through_buffer(
        in, [&](const char* data, int64_t size, int64_t) { write_fully(out.get(), data, size, dst); });
    in.check_unchanged();
    return total;
  }
  AtomicFile out(dst, "");
  int64_t total = -1;
  if (in.is_regular && in.size > 0) total = copy_in_kernel(in.file.get(), out.fd(), in.size);
  if (total < 0)
    total = copy_through_buffer(
        in, [&](const char* data, int64_t size, int64_t at) { pwrite_fully(out.fd(), data, size, at, dst); });
  in.check_unchanged();
  if (!replaces) ::fchmod(out.fd(), st.st_mode & 0777);
  out.commit(keep_time ? settled_time(in.mtime_nsec) : 0);
  return total;
}

}  // namespace mox::file
