// Open objects: read with read-ahead, written as a multipart upload, or both through a local spool file.
#pragma once

#include <deque>
#include <exception>
#include <future>
#include <memory>
#include <optional>
#include <string>

#include "file/local_file_system.h"
#include "file/s3_assembler.h"
#include "file/s3_client.h"
#include "file/s3_whole.h"
#include "file/stream.h"

namespace mox::file {

// "r": ranged reads; in sequence, the next ranges are under way before they are asked for.
class S3ReadStream : public Stream {
 public:
  explicit S3ReadStream(const Location& object);
  ~S3ReadStream() override;
  int64_t read(char* data, int64_t size) override;
  void write(const char* data, int64_t size) override;
  int64_t seek(int64_t offset, int whence) override;
  int64_t tell() const override { return position_; }
  int64_t size() override;
  bool seekable() const override { return true; }
  void truncate(int64_t size) override;
  void set_read_ahead(int64_t bytes) override;
  void flush() override {}
  void close() override;

 private:
  struct Chunk;
  void open_first();
  void read_first();
  void start_chunk(int64_t offset, int64_t length);
  void fill_queue();
  // The chunk that holds position_, loaded; nullptr at the end of the object.
  Chunk* current_chunk();
  // Of bytes at `offset` that go to the caller: an object that is read in order from its first byte is verified with
  // its last one, before that is handed over.
  void check(const char* data, int64_t offset, int64_t size);

  Location object_;
  std::optional<s3::ObjectInfo> info_;
  std::deque<std::shared_ptr<Chunk>> chunks_;  // in sequence, without gaps
  int64_t position_ = 0;
  int64_t next_length_;                    // of the chunk to ask for next; doubles while reading goes on in sequence
  int64_t largest_;                        // and that is where it stops
  size_t depth_ = 1;                       // chunks in flight; grows likewise
  std::optional<s3::ContentCheck> check_;  // until it is done
  int64_t checked_ = 0;                    // bytes that it has seen
  std::exception_ptr failed_;              // what it found: bytes that were handed over are wrong
  bool closed_ = false;
};

// "w" and "a".
class S3WriteStream : public Stream {
 public:
  S3WriteStream(const Location& object, bool append);
  int64_t read(char* data, int64_t size) override;
  void write(const char* data, int64_t size) override;
  int64_t seek(int64_t offset, int whence) override;
  int64_t tell() const override { return size_; }
  int64_t size() override { return size_; }
  bool seekable() const override { return false; }
  void truncate(int64_t size) override;
  void flush() override;
  void close() override;

 private:
  Location object_;
  std::unique_ptr<S3Assembler> assembler_;
  std::optional<S3Assembler::Result> visible_;  // what the path shows; taken over when more is written
  int64_t size_ = 0;
  bool dirty_ = true;  // there is something that the path does not show yet
  bool closed_ = false;
};

// "r+", "w+", "a+": a nameless local file, uploaded when it was changed.
class S3SpoolStream : public Stream {
 public:
  S3SpoolStream(const Location& object, const OpenMode& mode);
  int64_t read(char* data, int64_t size) override;
  void write(const char* data, int64_t size) override;
  int64_t seek(int64_t offset, int whence) override;
  int64_t tell() const override { return position_; }
  int64_t size() override;
  bool seekable() const override { return true; }
  void truncate(int64_t size) override;
  void flush() override;
  void close() override;

 private:
  Location object_;
  Descriptor spool_;
  bool append_;
  int64_t position_ = 0;
  bool dirty_ = false;
  bool closed_ = false;
};

}  // namespace mox::file
