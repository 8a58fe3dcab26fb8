#include "file/state_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <vector>

#include "file/sigv4.h"

namespace mox::file {
namespace {

std::string state_folder() {
  if (const char* folder = std::getenv("MOX_STATE_DIR"); folder && *folder) return folder;
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache && *cache) return std::string(cache) + "/moxing";
  if (const char* home = std::getenv("HOME"); home && *home) return std::string(home) + "/.cache/moxing";
  return "";
}

}  // namespace

bool lock_file(int fd, const std::string& path) {
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) return false;
  struct ::stat opened, named;
  return ::fstat(fd, &opened) == 0 && ::stat(path.c_str(), &named) == 0 && opened.st_ino == named.st_ino &&
         opened.st_dev == named.st_dev;
}

std::unique_ptr<StateNote> StateNote::take(const std::string& kind, const std::string& identity) {
  const std::string folder = state_folder();
  if (folder.empty()) return nullptr;
  try {
    LocalFileSystem().make_folder(Location{"", "", "", folder}, /*parents=*/true);
  } catch (const Error&) {
    return nullptr;
  }
  return open(folder + "/" + kind + "-" + hex_sha256(identity).substr(0, 32), O_CREAT);
}

std::unique_ptr<StateNote> StateNote::open(const std::string& path, int flags) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC | flags, 0600);
  if (fd < 0) return nullptr;
  Descriptor file(fd);
  if (!lock_file(fd, path)) return nullptr;
  std::unique_ptr<StateNote> note(new StateNote(path, std::move(file)));
  struct ::stat st;
  if (::fstat(fd, &st) == 0 && st.st_size > 0) {
    note->changed_nsec_ = static_cast<int64_t>(st.st_mtim.tv_sec) * 1000000000 + st.st_mtim.tv_nsec;
    note->content_.resize(static_cast<size_t>(st.st_size));
    note->content_.resize(static_cast<size_t>(pread_fully(fd, note->content_.data(), st.st_size, 0, path)));
    ::lseek(fd, 0, SEEK_END);
  }
  return note;
}

void StateNote::for_each(const std::string& kind, const std::function<void(StateNote&)>& work) {
  const std::string folder = state_folder();
  if (folder.empty()) return;
  std::vector<std::string> paths;
  LocalFileSystem().list({"", "", "", folder}, /*recursive=*/false, [&](DirEntry& entry) {
    if (entry.is_file() && entry.name.compare(0, kind.size() + 1, kind + "-") == 0) paths.push_back(entry.path);
    return true;
  });
  for (const std::string& path : paths)
    if (const auto note = open(path, 0)) work(*note);
}

// A note that nothing was written into is no note.
StateNote::~StateNote() {
  struct ::stat st;
  if (::fstat(file_.get(), &st) == 0 && st.st_size == 0) ::unlink(path_.c_str());
}

void StateNote::replace(const std::string& content) {
  if (::ftruncate(file_.get(), 0) != 0) return;
  ::lseek(file_.get(), 0, SEEK_SET);
  write_fully(file_.get(), content.data(), static_cast<int64_t>(content.size()), path_);
}

void StateNote::append(const std::string& line) {
  write_fully(file_.get(), line.data(), static_cast<int64_t>(line.size()), path_);
}

void StateNote::remove() {
  if (::ftruncate(file_.get(), 0) == 0) ::unlink(path_.c_str());
}

}  // namespace mox::file
