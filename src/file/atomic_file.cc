#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdlib>

#include "file/left_temporaries.h"
#include "file/local_file_system.h"
#include "file/state_folder.h"

namespace mox::file {
namespace {

// Where a link leads, so that the file it points at is replaced and not the link. `exists`: whether something is there.
std::string follow_links(const std::string& path, bool* exists) {
  struct ::stat st;
  *exists = ::lstat(path.c_str(), &st) == 0;
  if (!*exists || !S_ISLNK(st.st_mode)) return path;
  char resolved[PATH_MAX];
  return ::realpath(path.c_str(), resolved) ? resolved : path;
}

std::string temporary_name(const std::string& target, const std::string& suffix) {
  static std::atomic<unsigned> counter{0};
  const size_t slash = target.rfind('/');
  const std::string folder = slash == std::string::npos ? "" : target.substr(0, slash + 1);
  std::string name = slash == std::string::npos ? target : target.substr(slash + 1);
  name.resize(std::min<size_t>(name.size(), 200));  // a name of 255 bytes must still fit with what is added
  if (!suffix.empty()) return folder + "." + name + ".moxpart-" + suffix;
  return folder + "." + name + ".moxtmp-" + std::to_string(::getpid()) + "-" + std::to_string(counter++);
}

int open_with_parents(const std::string& temporary, const std::string& target, int flags) {
  int fd = ::open(temporary.c_str(), flags, 0666);
  if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
    LocalFileSystem().make_folder(parent_of(Location{"", "", "", target}), /*parents=*/true);
    fd = ::open(temporary.c_str(), flags, 0666);
  }
  if (fd < 0) throw_errno("write", target, errno);
  return fd;
}

// A file of its own is locked: that tells others that its writer lives. One that was taken for left in the moment
// before the lock is made again under another name.
Descriptor open_temporary(std::string* temporary, const std::string& target, const std::string& suffix) {
  remove_left_temporaries(target, suffix);
  *temporary = temporary_name(target, suffix);
  if (!suffix.empty()) return Descriptor(open_with_parents(*temporary, target, O_RDWR | O_CREAT | O_CLOEXEC));
  for (;;) {
    Descriptor file(open_with_parents(*temporary, target, O_RDWR | O_CREAT | O_CLOEXEC | O_TRUNC));
    if (lock_file(file.get(), *temporary) || ::access(temporary->c_str(), F_OK) == 0) return file;
    *temporary = temporary_name(target, suffix);
  }
}

}  // namespace

AtomicFile::AtomicFile(const std::string& path, const std::string& suffix)
    : target_(follow_links(path, &replaces_)), file_(open_temporary(&temporary_, target_, suffix)) {}

AtomicFile::~AtomicFile() {
  if (!keep_) ::unlink(temporary_.c_str());
}

void AtomicFile::commit(int64_t mtime_nsec) {
  struct ::stat st;
  if (replaces_ && ::stat(target_.c_str(), &st) == 0 && S_ISREG(st.st_mode)) ::fchmod(file_.get(), st.st_mode & 07777);
  if (mtime_nsec != 0) {
    const timespec when{static_cast<time_t>(mtime_nsec / 1000000000), static_cast<long>(mtime_nsec % 1000000000)};
    const timespec times[2] = {when, when};
    ::futimens(file_.get(), times);
  }
  // Some file systems tell only at close that the disk was full; the descriptor itself stays open for its lock.
  if (const int copy = ::dup(file_.get()); copy >= 0 && ::close(copy) != 0 && errno != EINTR)
    throw_errno("write", target_, errno);
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) {
    if (errno == EISDIR || errno == ENOTEMPTY || errno == EEXIST)
      throw MoxFileNameDuplicateException("write '" + target_ +
                                          "': a folder has this name; a local disk cannot hold a "
                                          "file and a folder of one name, so choose another destination");
    throw_errno("write", target_, errno);
  }
  keep_ = true;
}

}  // namespace mox::file
