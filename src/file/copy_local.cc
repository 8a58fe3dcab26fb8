#include "file/copy_local.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "file/local_file_system.h"

namespace mox::file {
namespace {

constexpr int64_t kBufferSize = 1 << 20;

// True when the kernel copied all; false when this pair of file systems cannot.
bool copy_in_kernel(int in, int out, int64_t size) {
  for (int64_t done = 0; done < size;) {
    const ssize_t n = ::copy_file_range(in, nullptr, out, nullptr, static_cast<size_t>(size - done), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return done > 0 && n == 0;
    done += n;
  }
  return true;
}

int64_t copy_through_buffer(int in, int out, const std::string& src, const std::string& dst) {
  std::vector<char> buffer(kBufferSize);
  int64_t total = 0;
  for (;;) {
    const int64_t got = pread_fully(in, buffer.data(), kBufferSize, total, src);
    if (got == 0) return total;
    pwrite_fully(out, buffer.data(), got, total, dst);
    total += got;
  }
}

}  // namespace

int64_t copy_local_file(const std::string& src, const std::string& dst) {
  Descriptor in("copy", src, O_RDONLY);
  struct ::stat st, there;
  if (::fstat(in.get(), &st) != 0) throw_errno("copy", src, errno);
  const bool replaces = ::stat(dst.c_str(), &there) == 0;
  if (replaces && there.st_dev == st.st_dev && there.st_ino == st.st_ino) return 0;  // the same file
  if (replaces && !S_ISREG(there.st_mode) && !S_ISDIR(there.st_mode)) {
    Descriptor out("copy", dst, O_WRONLY);
    std::vector<char> buffer(kBufferSize);
    int64_t total = 0;
    while (const int64_t got = pread_fully(in.get(), buffer.data(), kBufferSize, total, src)) {
      write_fully(out.get(), buffer.data(), got, dst);
      total += got;
    }
    return total;
  }
  AtomicFile out(dst, "");
  int64_t total = st.st_size;
  if (!S_ISREG(st.st_mode) || st.st_size == 0 || !copy_in_kernel(in.get(), out.fd(), st.st_size))
    total = copy_through_buffer(in.get(), out.fd(), src, dst);
  if (!replaces) ::fchmod(out.fd(), st.st_mode & 0777);
  out.commit();
  return total;
}

}  // namespace mox::file
