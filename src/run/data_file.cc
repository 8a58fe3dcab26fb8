#include "run/data_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <new>
#include <optional>

#include "absl/status/status.h"
#include "base/mutex.h"
#include "base/url.h"
#include "base/worker_thread.h"
#include "graph/graph_state.h"
#include "tensorflow/core/platform/env.h"

namespace mox {

namespace tf = tensorflow;

namespace {

constexpr size_t kBuffer = 8 << 20;  // two of them stay in the processor's cache
constexpr size_t kAligned = 4096;    // what disks want of addresses, offsets and sizes
constexpr size_t kSmall = 1 << 20;   // not worth a thread
constexpr size_t kTrial = 32 << 20;  // tells a disk's speed
constexpr double kSlow = 1e9;        // bytes a second: who updates what waits for such a disk copies it first

void throw_if_failed(int error, const std::string& path) {
  if (error != 0) throw_if_error(absl::ErrnoToStatus(error, path), "writing " + path);
}

class AlignedBuffer {
 public:
  AlignedBuffer() : data_(static_cast<char*>(std::aligned_alloc(kAligned, kBuffer))) {
    if (!data_) throw std::bad_alloc();
  }
  AlignedBuffer(const AlignedBuffer&) = delete;
  AlignedBuffer& operator=(const AlignedBuffer&) = delete;
  ~AlignedBuffer() { std::free(data_); }
  char* data() const { return data_; }

 private:
  char* const data_;
};

// An open file: whole blocks past the page cache as long as that goes well. One thread at a time.
class Output {
 public:
  Output(const std::string& path, bool direct) {
    constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
    if (direct) file_ = ::open(path.c_str(), kFlags | O_DIRECT, 0644);
    direct_ = file_ >= 0;
    if (file_ < 0) file_ = ::open(path.c_str(), kFlags, 0644);
    throw_if_failed(file_ < 0 ? errno : 0, path);
  }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  ~Output() { close(); }

  // All return an errno, 0 when they did it. A file system that cannot make room beforehand need not.
  int make_room(uint64_t size) {
    if (size == 0 || ::fallocate(file_, 0, 0, static_cast<off_t>(size)) == 0) return 0;
    return errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? errno : 0;
  }

  int write(const char* data, size_t size) {
    const size_t whole = size / kAligned * kAligned;
    if (const int error = write_timed(data, whole)) return error;
    if (whole == size) return 0;
    use_page_cache();  // the file's end
    return write_all(data + whole, size - whole);
  }

  int close() {
    if (file_ < 0) return 0;
    const int error = ::close(file_) == 0 ? 0 : errno;
    file_ = -1;
    return error;
  }

 private:
  int write_timed(const char* data, size_t size) {
    const auto begin = std::chrono::steady_clock::now();
    const int error = write_all(data, size);
    seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    written_ += size;
    if (written_ >= kTrial && static_cast<double>(written_) < kSlow * seconds_) use_page_cache();
    return error;
  }

  int write_all(const char* data, size_t size) {
    while (size > 0) {
      const ssize_t done = ::write(file_, data, size);
      if (done < 0 && errno == EINTR) continue;
      if (done < 0 && errno == EINVAL && direct_) {  // wants more of addresses than most
        use_page_cache();
        continue;
      }
      if (done <= 0) return done < 0 ? errno : ENOSPC;
      data += done;
      size -= static_cast<size_t>(done);
      if (size % kAligned != 0) use_page_cache();  // a part of a block was written
    }
    return 0;
  }

  void use_page_cache() {
    if (!direct_) return;
    direct_ = false;
    if (const int flags = ::fcntl(file_, F_GETFL); flags >= 0) ::fcntl(file_, F_SETFL, flags & ~O_DIRECT);
  }

  int file_ = -1;
  bool direct_ = false;
  uint64_t written_ = 0;  // in whole blocks, and what that took
  double seconds_ = 0;
};

}  // namespace

class DataFile::Target {
 public:
  virtual ~Target() = default;
  virtual void append(const char* data, size_t size) = 0;
  virtual void finish() = 0;
};

class DataFile::Remote : public Target {
 public:
  explicit Remote(const std::string& path) : path_(path) { check(tf::Env::Default()->NewWritableFile(path, &file_)); }
  void append(const char* data, size_t size) override { check(file_->Append(absl::string_view(data, size))); }
  void finish() override { check(file_->Close()); }

 private:
  void check(const absl::Status& status) const { throw_if_error(status, "writing " + path_); }

  const std::string path_;
  std::unique_ptr<tf::WritableFile> file_;
};

class DataFile::Local : public Target {
 public:
  Local(const std::string& path, uint64_t size, bool direct) : path_(path), output_(path, direct) {
    throw_if_failed(output_.make_room(size), path);
    thread_ = WorkerThread("mox_write", [this](const auto& stop) { work(stop); });
  }

  void append(const char* data, size_t size) override {
    while (size > 0) {
      const size_t part = std::min(size, kBuffer - filled_);
      std::memcpy(buffers_[filling_].data() + filled_, data, part);
      filled_ += part;
      data += part;
      size -= part;
      if (filled_ == kBuffer) hand_over();
    }
  }

  void finish() override {
    if (filled_ > 0) hand_over();
    {
      MutexLock lock(mu_);
      wait_until_written(lock);
    }
    thread_.stop();
    throw_if_failed(output_.close(), path_);
  }

 private:
  void hand_over() {
    MutexLock lock(mu_);
    wait_until_written(lock);
    writing_ = filling_;
    size_ = filled_;
    changed_.notify_all();
    filling_ = 1 - filling_;
    filled_ = 0;
  }

  void wait_until_written(MutexLock& lock) MOX_REQUIRES(mu_) {
    changed_.wait(lock, [this]() MOX_REQUIRES(mu_) { return !writing_; });
    throw_if_failed(error_, path_);
  }

  void work(const std::stop_token& stop) {
    MutexLock lock(mu_);
    while (changed_.wait(lock, stop, [this]() MOX_REQUIRES(mu_) { return writing_.has_value(); })) {
      const char* const data = buffers_[*writing_].data();
      const size_t size = size_;
      lock.unlock();
      const int error = output_.write(data, size);
      lock.lock();
      if (error_ == 0) error_ = error;
      writing_.reset();
      changed_.notify_all();
    }
  }

  const std::string path_;
  Output output_;  // the thread's, but before its begin and after its end
  std::array<AlignedBuffer, 2> buffers_;
  size_t filling_ = 0, filled_ = 0;

  Mutex mu_;
  CondVar changed_;
  std::optional<size_t> writing_ MOX_GUARDED_BY(mu_);  // this buffer waits for the thread, or is being written
  size_t size_ MOX_GUARDED_BY(mu_) = 0;
  int error_ MOX_GUARDED_BY(mu_) = 0;
  WorkerThread thread_;
};

DataFile::DataFile(const std::string& path, uint64_t size, Way way) {
  if (size < kSmall || has_scheme(path))
    target_ = std::make_unique<Remote>(path);
  else
    target_ = std::make_unique<Local>(path, size, way == Way::kBest);
}

DataFile::~DataFile() = default;

void DataFile::append(const char* data, size_t size) { target_->append(data, size); }

void DataFile::finish() { target_->finish(); }

}  // namespace mox
