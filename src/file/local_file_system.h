// The local disk, through POSIX.
#pragma once

#include <string>

#include "file/file_system.h"

namespace mox::file {

class LocalFileSystem : public FileSystem {
 public:
  std::optional<Stat> stat(const Location& location) override;
  bool list(const Location& folder, bool recursive, const EntryVisitor& visit) override;
  // All below, as list, but never through a link: a link to a folder is an entry, a folder of mode S_IFLNK.
  bool list_inside(const Location& folder, const EntryVisitor& visit);
  void read_to(const Location& location, const std::function<char*(int64_t)>& allocate) override;
  void write(const Location& location, std::string_view data) override;
  void append(const Location& location, std::string_view data) override;
  std::unique_ptr<Stream> open(const Location& location, const OpenMode& mode) override;
  void make_folder(const Location& location, bool parents) override;
  void remove_file(const Location& location) override;
  void remove_folder(const Location& location) override;
};

// Throws for errno: MoxFileNotExistsException for ENOENT, else OsError. Text: "operation 'path': …".
[[noreturn]] void throw_errno(const char* operation, const std::string& path, int code);

// Whether the path itself is a symbolic link.
bool is_link(const std::string& path);

// An open descriptor; closed on destruction.
class Descriptor {
 public:
  Descriptor(const char* operation, const std::string& path, int flags, unsigned mode = 0666);
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor();
  int get() const { return fd_; }
  void close(const char* operation, const std::string& path);

 private:
  int fd_;
};

void write_fully(int fd, const char* data, int64_t size, const std::string& path);
void pwrite_fully(int fd, const char* data, int64_t size, int64_t offset, const std::string& path);
// Fewer than `size` bytes only at the end of the file.
int64_t pread_fully(int fd, char* data, int64_t size, int64_t offset, const std::string& path);

// A file that is not visible under its name until commit(): a temporary name beside it, then a rename. A link as
// target is followed; mode bits of a file that is replaced are kept; a missing folder is made. Dropped: removed.
class AtomicFile {
 public:
  // `suffix` "" takes a name of its own; otherwise the name is the same every time, so that a download can go on.
  AtomicFile(const std::string& path, const std::string& suffix);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  int fd() const { return file_.get(); }
  const std::string& temporary_path() const { return temporary_; }
  // mtime_nsec 0: now. Throws MoxFileNameDuplicateException when a folder has the name.
  void commit(int64_t mtime_nsec = 0);
  // Leaves the temporary file where it is, to go on later.
  void keep() { keep_ = true; }

 private:
  bool replaces_ = false;  // something had the name at the beginning
  std::string target_;
  std::string temporary_;
  Descriptor file_;
  bool keep_ = false;
};

}  // namespace mox::file
