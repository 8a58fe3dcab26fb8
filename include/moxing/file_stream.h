// An open file: local, or an object that is read by ranges and written in parts, so that its size does not matter.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "moxing/export.h"

namespace mox::file {

class Stream;

// One thread at a time. Bytes in, bytes out: text is UTF-8 and is not converted. Every method throws OsError(EBADF) on
// a closed file, or where the mode does not allow it; OsError with the system's errno, or the exceptions of
// file_error.h, where disk or store fail.
class MOX_EXPORT File {
 public:
  // mode: r w a r+ w+ a+, with b or t in any place; InvalidArgumentError otherwise. MoxFileNotExistsException when
  // there is nothing to read, OsError(EISDIR) for a local folder.
  explicit File(const std::string& name, const std::string& mode = "r");
  // Closes, and swallows what fails then: call close() to see it. While an exception is on its way what no flush made
  // visible is dropped, so that a broken-off write never shows.
  ~File();
  File(File&&) noexcept;
  File& operator=(File&&) noexcept;

  // Up to n bytes, or all that is left for n < 0; fewer only at the end. MoxFileReadException when the object changed,
  // or broke off, while it was read.
  std::string read(int64_t n = -1);
  // The same into `data`, which holds `size` bytes. Returns how many came; 0 at the end.
  int64_t read_some(char* data, int64_t size);
  // With its newline; "" at the end. At most `size` bytes when size >= 0.
  std::string readline(int64_t size = -1);
  // Stops after the line with which `hint` bytes are reached, when hint > 0.
  std::vector<std::string> readlines(int64_t hint = -1);
  // One line, without its end: false at the end of the file. `while (f.next(&line)) …`
  bool next(std::string* line);

  // At the position (modes w, r+), or at the end (a).
  void write(std::string_view data);
  // One after the other; no newlines are added.
  void writelines(const std::vector<std::string>& lines);
  // whence: 0 from the start, 1 from here, 2 from the end. Returns the position, in bytes. OsError(EINVAL) before the
  // start; OsError(ESPIPE) in an object that is written from its start (modes w, a), which has no way back.
  int64_t seek(int64_t offset, int whence = 0);
  // The position, in bytes.
  int64_t tell() const;
  // Bytes that the file has, those written and not yet visible with them.
  int64_t size();
  // The file has `size` bytes then, zeros where it had fewer. OsError(EINVAL) for an object in mode w or a.
  void truncate(int64_t size);
  // Makes what was written so far visible at the path.
  void flush();
  // Makes all visible, and closes. A second call does nothing. What fails here was not stored.
  void close();
  // Closes without making visible what no flush made visible (object stores; a local file keeps what it has).
  void discard();

  // How much of an object is in memory or under way at most while it is read in sequence (32 MiB): for programs that
  // read many at once. At least 1 MiB; local files have none.
  void set_read_ahead(int64_t bytes);

  // What Python's files tell, without errors.
  bool closed() const { return stream_ == nullptr; }
  bool isatty() const { return false; }
  bool readable() const { return readable_; }
  bool writable() const { return writable_; }
  bool seekable() const;
  const std::string& name() const { return name_; }
  const std::string& mode() const { return mode_; }

 private:
  Stream& stream() const;
  bool fill();

  std::string name_, mode_;
  bool readable_ = false, writable_ = false;
  std::unique_ptr<Stream> stream_;
  std::string buffer_;  // read from the stream, not handed out yet: buffer_[buffer_at_…]
  size_t buffer_at_ = 0;
  int exceptions_ = 0;  // in flight when the file was opened
};

}  // namespace mox::file
