// An open file of either kind, in bytes. One thread at a time.
#pragma once

#include <cstdint>
#include <string>

namespace mox::file {

// What "r+b" and its like mean.
struct OpenMode {
  bool read = false;
  bool write = false;
  bool append = false;    // every write goes to the end
  bool truncate = false;  // start empty
  bool create = false;    // make the file when it is missing
  bool binary = false;
};

// "r", "w", "a", "r+", "w+", "a+" with "b" or "t" in any place; InvalidArgumentError that lists them otherwise.
OpenMode parse_mode(const std::string& mode);

class Stream {
 public:
  virtual ~Stream() = default;
  // Up to `size` bytes; fewer only at the end of the file.
  virtual int64_t read(char* data, int64_t size) = 0;
  virtual void write(const char* data, int64_t size) = 0;
  // Returns the new position; whence is SEEK_SET, SEEK_CUR or SEEK_END.
  virtual int64_t seek(int64_t offset, int whence) = 0;
  virtual int64_t tell() const = 0;
  virtual int64_t size() = 0;
  virtual bool seekable() const = 0;
  virtual void truncate(int64_t size) = 0;
  virtual void set_read_ahead(int64_t /*bytes*/) {}
  // Makes what was written so far visible at the path.
  virtual void flush() = 0;
  // Flushes and frees; a second call does nothing. The destructor of a stream that was not closed drops what a
  // flush has not made visible yet, so that a broken-off write never shows.
  virtual void close() = 0;
};

}  // namespace mox::file
