#include "file/state_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "base/url.h"
#include "file/checksum.h"
#include "moxing/log.h"

namespace mox::file {
namespace {

std::string state_folder() {
  if (const char* folder = std::getenv("MOX_STATE_DIR"); folder && *folder) return folder;
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache && *cache) return std::string(cache) + "/moxing";
  if (const char* home = std::getenv("HOME"); home && *home) return std::string(home) + "/.cache/moxing";
  return "";
}

// Where the user chose the folder; elsewhere (a home that is read-only) it is no news.
void warn(const std::string& folder, const std::string& why) {
  const char* chosen = std::getenv("MOX_STATE_DIR");
  static std::atomic<bool> warned{false};
  const std::string text = "state folder '" + folder + "' cannot be used: " + why +
                           "; the transfer goes on, but were it broken off, it would begin anew";
  if (chosen && *chosen && !warned.exchange(true))
    log_warning(text);
  else
    log_debug(text);
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
  if (has_scheme(folder)) {
    warn(folder, "it is no folder of this machine");
    return nullptr;
  }
  try {
    LocalFileSystem().make_folder(Location{"", "", "", folder}, /*parents=*/true);
  } catch (const Error& e) {
    warn(folder, e.what());
    return nullptr;
  }
  return open(folder + "/" + kind + "-" + hex_sha256(identity).substr(0, 32), O_CREAT);
}

std::unique_ptr<StateNote> StateNote::open(const std::string& path, int flags) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC | flags, 0600);
  if (fd < 0) {
    if ((flags & O_CREAT) != 0) warn(path, std::strerror(errno));
    return nullptr;
  }
  Descriptor file(fd);
  if (!lock_file(fd, path)) return nullptr;
  std::unique_ptr<StateNote> note(new StateNote(path, std::move(file)));
  struct ::stat st;
  if (::fstat(fd, &st) == 0 && st.st_size > 0) {
    note->changed_nsec_ = static_cast<int64_t>(st.st_mtim.tv_sec) * 1000000000 + st.st_mtim.tv_nsec;
    try {
      note->content_.resize(static_cast<size_t>(st.st_size));
      note->content_.resize(static_cast<size_t>(pread_fully(fd, note->content_.data(), st.st_size, 0, path)));
    } catch (const Error& e) {
      warn(path, e.what());
      return nullptr;
    }
    ::lseek(fd, 0, SEEK_END);
  }
  return note;
}

void StateNote::for_each(const std::string& kind, const std::function<void(StateNote&)>& work) {
  const std::string folder = state_folder();
  if (folder.empty()) return;
  std::vector<std::string> paths;
  try {
    LocalFileSystem().list({"", "", "", folder}, /*recursive=*/false, [&](DirEntry& entry) {
      if (entry.is_file() && entry.name.compare(0, kind.size() + 1, kind + "-") == 0) paths.push_back(entry.path);
      return true;
    });
  } catch (const Error& e) {
    warn(folder, e.what());
  }
  for (const std::string& path : paths)
    if (const auto note = open(path, 0)) work(*note);
}

// A note that nothing was written into is no note.
StateNote::~StateNote() {
  struct ::stat st;
  if (::fstat(file_.get(), &st) == 0 && st.st_size == 0) ::unlink(path_.c_str());
}

void StateNote::write(const std::string& text) {
  if (failed_) return;
  try {
    write_fully(file_.get(), text.data(), static_cast<int64_t>(text.size()), path_);
  } catch (const Error& e) {
    failed_ = true;
    warn(state_folder(), e.what());
  }
}

void StateNote::replace(const std::string& content) {
  if (::ftruncate(file_.get(), 0) != 0) return;
  ::lseek(file_.get(), 0, SEEK_SET);
  write(content);
}

void StateNote::append(const std::string& line) { write(line); }

void StateNote::remove() {
  if (::ftruncate(file_.get(), 0) == 0) ::unlink(path_.c_str());
}

}  // namespace mox::file
