#include "file/local_file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "file/local_stream.h"

namespace mox::file {
namespace {

Stat to_stat(const struct ::stat& st) {
  Stat result;
  result.is_directory = S_ISDIR(st.st_mode);
  result.length = result.is_directory ? 0 : st.st_size;
  result.mtime_nsec = static_cast<int64_t>(st.st_mtim.tv_sec) * 1000000000 + st.st_mtim.tv_nsec;
  result.mode = st.st_mode;
  return result;
}

// The folders from the root of a listing down to the current one: a link to one of them would go round for ever.
using Ancestors = std::vector<std::pair<dev_t, ino_t>>;

struct Child {
  std::string name;
  std::string order;  // the name, a folder's with '/': the byte order of full paths
  struct ::stat st;
};

std::string join(const std::string& folder, const std::string& name) {
  return folder.empty() || folder.back() == '/' ? folder + name : folder + "/" + name;
}

std::vector<Child> children_of(const std::string& folder) {
  DIR* dir = ::opendir(folder.c_str());
  if (!dir) throw_errno("list", folder, errno);
  std::vector<Child> children;
  const std::unique_ptr<DIR, int (*)(DIR*)> closed_at_the_end(dir, ::closedir);
  for (;;) {
    errno = 0;
    const dirent* item = ::readdir(dir);
    if (!item && errno != 0) throw_errno("list", folder, errno);  // half a folder is not the folder
    if (!item) break;
    const std::string name = item->d_name;
    if (name == "." || name == "..") continue;
    Child child{name, name, {}};
    // A dangling link counts as a file of its own; a name that went away meanwhile is left out.
    if (::fstatat(::dirfd(dir), item->d_name, &child.st, 0) != 0 &&
        ::fstatat(::dirfd(dir), item->d_name, &child.st, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT || errno == ESRCH) continue;
      throw_errno("list", join(folder, name), errno);
    }
    if (S_ISDIR(child.st.st_mode)) child.order += '/';
    children.push_back(std::move(child));
  }
  std::sort(children.begin(), children.end(), [](const Child& a, const Child& b) { return a.order < b.order; });
  return children;
}

bool list_below(const std::string& folder, const std::string& prefix, bool recursive, bool enter_links,
                Ancestors& ancestors, const EntryVisitor& visit) {
  for (Child& child : children_of(folder)) {
    DirEntry entry{prefix + child.name, join(folder, child.name), to_stat(child.st)};
    if (!enter_links && is_link(entry.path)) {
      if (entry.is_dir()) entry.stat.mode = S_IFLNK;
      if (!visit(entry)) return false;
      continue;
    }
    if (!visit(entry)) return false;
    if (!recursive || !S_ISDIR(child.st.st_mode)) continue;
    const std::pair<dev_t, ino_t> id{child.st.st_dev, child.st.st_ino};
    if (std::find(ancestors.begin(), ancestors.end(), id) != ancestors.end()) continue;
    ancestors.push_back(id);
    const bool more = list_below(entry.path, prefix + child.name + "/", true, enter_links, ancestors, visit);
    ancestors.pop_back();
    if (!more) return false;
  }
  return true;
}

void remove_below(const std::string& folder) {
  DIR* dir = ::opendir(folder.c_str());
  if (!dir) {
    if (errno == ENOENT) return;
    throw_errno("remove", folder, errno);
  }
  std::vector<std::pair<std::string, bool>> names;
  while (const dirent* item = ::readdir(dir)) {
    const std::string name = item->d_name;
    if (name == "." || name == "..") continue;
    struct ::stat st;
    const bool known = ::fstatat(::dirfd(dir), item->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0;
    names.emplace_back(name, known && S_ISDIR(st.st_mode));
  }
  ::closedir(dir);
  for (const auto& [name, is_folder] : names) {
    const std::string path = join(folder, name);
    if (is_folder) {
      remove_below(path);
    } else if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
      throw_errno("remove", path, errno);
    }
  }
  if (::rmdir(folder.c_str()) != 0 && errno != ENOENT) throw_errno("remove", folder, errno);
}

void make_with_parents(const std::string& path) {
  struct ::stat st;
  if (::stat(path.c_str(), &st) == 0) {
    if (S_ISDIR(st.st_mode)) return;
    throw OsError(EEXIST, "make_dirs '" + path + "': a file has this name; remove it or choose another folder");
  }
  const Location parent = parent_of(Location{"", "", "", path});
  if (parent.path != path && parent.path != ".") make_with_parents(parent.path);
  // Another process may make it at the same time.
  if (::mkdir(path.c_str(), 0777) != 0 && !(errno == EEXIST && ::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode)))
    throw_errno("make_dirs", path, errno);
}

bool is_special_file(const std::string& path) {
  struct ::stat st;
  return ::stat(path.c_str(), &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

}  // namespace

void throw_errno(const char* operation, const std::string& path, int code) {
  const std::string text = std::string(operation) + " '" + path + "': " + std::strerror(code);
  if (code == ENOENT) throw MoxFileNotExistsException(text);
  throw OsError(code, text);
}

bool is_link(const std::string& path) {
  struct ::stat st;
  return ::lstat(path.c_str(), &st) == 0 && S_ISLNK(st.st_mode);
}

std::optional<Stat> LocalFileSystem::stat(const Location& location) {
  struct ::stat st;
  if (::stat(location.path.c_str(), &st) == 0) return to_stat(st);
  if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == ENAMETOOLONG) return std::nullopt;
  throw_errno("stat", location.path, errno);
}

bool LocalFileSystem::list(const Location& folder, bool recursive, const EntryVisitor& visit) {
  struct ::stat st;
  if (::stat(folder.path.c_str(), &st) != 0) return false;
  if (!S_ISDIR(st.st_mode)) throw_errno("list", folder.path, ENOTDIR);
  Ancestors ancestors{{st.st_dev, st.st_ino}};
  list_below(folder.path, "", recursive, /*enter_links=*/true, ancestors, visit);
  return true;
}

bool LocalFileSystem::list_inside(const Location& folder, const EntryVisitor& visit) {
  struct ::stat st;
  if (::stat(folder.path.c_str(), &st) != 0) return false;
  if (!S_ISDIR(st.st_mode)) throw_errno("list", folder.path, ENOTDIR);
  Ancestors ancestors{{st.st_dev, st.st_ino}};
  list_below(folder.path, "", /*recursive=*/true, /*enter_links=*/false, ancestors, visit);
  return true;
}

void LocalFileSystem::read_to(const Location& location, const std::function<char*(int64_t)>& allocate) {
  Descriptor file("read", location.path, O_RDONLY);
  struct ::stat st;
  if (::fstat(file.get(), &st) != 0) throw_errno("read", location.path, errno);
  if (S_ISDIR(st.st_mode)) throw_errno("read", location.path, EISDIR);
  constexpr int64_t kSmall = 64 << 10;  // files of /sys say 4096 and hold less: what is small is read to its end
  if (S_ISREG(st.st_mode) && st.st_size > kSmall) {
    char* data = allocate(st.st_size);
    const int64_t got = pread_fully(file.get(), data, st.st_size, 0, location.path);
    if (got != st.st_size)
      throw MoxFileReadException("read '" + location.path + "': the file shrank from " + std::to_string(st.st_size) +
                                     " to " + std::to_string(got) + " bytes while it was read; read it again",
                                 {});
    return;
  }
  // Pipes and /proc tell no size beforehand.
  std::string content;
  content.reserve(static_cast<size_t>(std::clamp<int64_t>(st.st_size, 0, kSmall)));
  char buffer[65536];
  for (;;) {
    const ssize_t got = ::read(file.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_errno("read", location.path, errno);
    if (got == 0) break;
    content.append(buffer, static_cast<size_t>(got));
  }
  std::memcpy(allocate(static_cast<int64_t>(content.size())), content.data(), content.size());
}

void LocalFileSystem::write(const Location& location, std::string_view data) {
  if (is_special_file(location.path)) {
    Descriptor file("write", location.path, O_WRONLY);
    write_fully(file.get(), data.data(), static_cast<int64_t>(data.size()), location.path);
    return;
  }
  struct ::stat st;
  if (::stat(location.path.c_str(), &st) == 0 && S_ISDIR(st.st_mode)) throw_errno("write", location.path, EISDIR);
  const std::string parent = parent_of(location).path;
  if (::stat(parent.c_str(), &st) != 0) throw_errno("write", location.path, ENOENT);
  AtomicFile file(location.path, "");
  write_fully(file.fd(), data.data(), static_cast<int64_t>(data.size()), location.path);
  file.commit();
}

void LocalFileSystem::append(const Location& location, std::string_view data) {
  // One write call with O_APPEND: what several processes append does not mix.
  Descriptor file("append", location.path, O_WRONLY | O_CREAT | O_APPEND);
  write_fully(file.get(), data.data(), static_cast<int64_t>(data.size()), location.path);
  file.close("append", location.path);
}

std::unique_ptr<Stream> LocalFileSystem::open(const Location& location, const OpenMode& mode) {
  return std::make_unique<LocalStream>(location.path, mode);
}

void LocalFileSystem::make_folder(const Location& location, bool parents) {
  const std::string path = location.as_file().path;
  if (parents) {
    make_with_parents(path);
  } else if (::mkdir(path.c_str(), 0777) != 0) {
    const int code = errno;
    if (code == ENOENT)
      throw OsError(ENOENT, "mk_dir '" + path + "': the parent folder does not exist; make_dirs makes parents too");
    throw_errno("mk_dir", path, code);
  }
}

void LocalFileSystem::remove_file(const Location& location) {
  if (location.names_folder()) return;
  struct ::stat st;
  if (::lstat(location.path.c_str(), &st) != 0 || S_ISDIR(st.st_mode)) return;
  if (::unlink(location.path.c_str()) != 0 && errno != ENOENT) throw_errno("remove", location.path, errno);
}

void LocalFileSystem::remove_folder(const Location& location) {
  const std::string path = location.as_file().path;
  struct ::stat st;
  if (::lstat(path.c_str(), &st) != 0) return;
  if (S_ISDIR(st.st_mode)) remove_below(path);
}

Descriptor::Descriptor(const char* operation, const std::string& path, int flags, unsigned mode)
    : fd_(::open(path.c_str(), flags | O_CLOEXEC, mode)) {
  if (fd_ < 0) throw_errno(operation, path, errno);
}

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

void Descriptor::close(const char* operation, const std::string& path) {
  const int fd = fd_;
  fd_ = -1;
  if (fd >= 0 && ::close(fd) != 0 && errno != EINTR) throw_errno(operation, path, errno);
}

void write_fully(int fd, const char* data, int64_t size, const std::string& path) {
  while (size > 0) {
    const ssize_t done = ::write(fd, data, static_cast<size_t>(size));
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) throw_errno("write", path, errno);
    data += done;
    size -= done;
  }
}

void pwrite_fully(int fd, const char* data, int64_t size, int64_t offset, const std::string& path) {
  while (size > 0) {
    const ssize_t done = ::pwrite(fd, data, static_cast<size_t>(size), offset);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) throw_errno("write", path, errno);
    data += done;
    offset += done;
    size -= done;
  }
}

int64_t pread_fully(int fd, char* data, int64_t size, int64_t offset, const std::string& path) {
  int64_t total = 0;
  while (total < size) {
    const ssize_t got = ::pread(fd, data + total, static_cast<size_t>(size - total), offset + total);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_errno("read", path, errno);
    if (got == 0) break;
    total += got;
  }
  return total;
}

}  // namespace mox::file
