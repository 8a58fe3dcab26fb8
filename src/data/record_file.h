// TFRecord framing: length (8 bytes), its masked CRC (4), the data, its masked CRC (4).
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "moxing/export.h"
#include "tensorflow/core/platform/file_system.h"
#include "tensorflow/core/platform/tstring.h"

namespace mox::data {

class MOX_EXPORT RecordFile {
 public:
  // `path` is for messages; `size` -1: unknown. The first record is the one that begins at byte `begin`.
  RecordFile(std::string path, std::unique_ptr<tensorflow::RandomAccessFile> file, int64_t size, int64_t begin = 0);

  // The next record, at offset(). kBroken: `error` says what is wrong, with path and offset, and the next call goes on
  // after it; where a length is broken, nothing after it can be found and the file ends there.
  enum class Result { kRecord, kBroken, kEnd };
  Result next(tensorflow::tstring* record, absl::Status* error);
  // As next, but reads the header only.
  Result skip(absl::Status* error);

  // Where the record of the last call begins.
  int64_t offset() const { return offset_; }

 private:
  Result read_header(uint64_t* length, absl::Status* error);
  Result broken(const std::string& what, absl::Status* error);
  // Bytes [at, at + size) in *bytes, valid until the next call; fewer at the end of the file.
  absl::Status fetch(int64_t at, size_t size, absl::string_view* bytes);

  // Reads on until the buffer holds `wanted` bytes, or the file ends.
  absl::Status fill(size_t wanted);

  std::string path_;
  std::unique_ptr<tensorflow::RandomAccessFile> file_;
  int64_t size_;
  int64_t offset_ = 0;
  int64_t next_ = 0;
  std::string buffer_;
  int64_t buffer_at_ = 0;
  size_t buffer_size_ = 0;
  size_t read_ahead_;
};

}  // namespace mox::data
