// A local file as a Stream: what open(2) does, no more.
#pragma once

#include <string>

#include "file/local_file_system.h"
#include "file/stream.h"

namespace mox::file {

class LocalStream : public Stream {
 public:
  LocalStream(const std::string& path, const OpenMode& mode);
  int64_t read(char* data, int64_t size) override;
  void write(const char* data, int64_t size) override;
  int64_t seek(int64_t offset, int whence) override;
  int64_t tell() const override;
  int64_t size() override;
  bool seekable() const override { return seekable_; }
  void truncate(int64_t size) override;
  void flush() override;
  void close() override;

 private:
  std::string path_;
  Descriptor file_;
  bool seekable_;
};

}  // namespace mox::file
