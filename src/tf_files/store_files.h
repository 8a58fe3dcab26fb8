// Objects of a store as TensorFlow's open files.
#pragma once

#include <chrono>
#include <string>

#include "base/mutex.h"
#include "moxing/file_stream.h"
#include "tensorflow/core/platform/file_system.h"

namespace mox::tf_files {

// Reads at an offset; in sequence, the next ranges are under way before they are asked for. Threads take turns.
class StoreReader : public tensorflow::RandomAccessFile {
 public:
  // read_ahead: as File::set_read_ahead, 0 leaves it as it is.
  explicit StoreReader(const std::string& path, int64_t read_ahead = 0) : path_(path), file_(path, "rb") {
    if (read_ahead > 0) file_.set_read_ahead(read_ahead);
  }
  absl::Status Name(absl::string_view* result) const override;
  absl::Status Read(uint64_t offset, absl::string_view& result, absl::Span<char> scratch) const override;

 private:
  const std::string path_;
  mutable Mutex mu_;
  mutable file::File file_ MOX_GUARDED_BY(mu_);
};

// Writes an object from its start, or goes on at its end. Each flush makes a whole object, so a writer that flushes
// often (event files) would send what is there again and again: a flush of a large object waits until a sixteenth is
// new, or ten seconds have passed. The total stays below 17 times the object's bytes; close always shows all.
class StoreWriter : public tensorflow::WritableFile {
 public:
  StoreWriter(const std::string& path, const char* mode);
  ~StoreWriter() override;
  absl::Status Append(absl::string_view data) override;
  absl::Status Flush() override;
  absl::Status Sync() override { return Flush(); }
  absl::Status Close() override;
  absl::Status Name(absl::string_view* result) const override;
  absl::Status Tell(int64_t* position) override;

 private:
  bool is_due(int64_t size) const;

  const std::string path_;
  file::File file_;
  int64_t shown_ = -1;  // bytes that the path shows; -1: nothing of this writer yet
  std::chrono::steady_clock::time_point shown_at_;
  absl::Status failed_;  // the first failure: what follows it cannot be whole
};

// TensorFlow's event writer asks before each event whether its file is still there. A file that this process has
// written within the last seconds is: no question to the store.
void note_written(const std::string& path);
void forget_written(const std::string& path);
bool was_just_written(const std::string& path);

// A whole object in memory.
class StoreMemoryRegion : public tensorflow::ReadOnlyMemoryRegion {
 public:
  explicit StoreMemoryRegion(const std::string& path);
  const void* data() override { return data_.get(); }
  uint64_t length() override { return size_; }

 private:
  std::unique_ptr<char[]> data_;
  uint64_t size_ = 0;
};

}  // namespace mox::tf_files
