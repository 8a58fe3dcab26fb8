#include "tf_files/store_files.h"

#include <map>

#include "moxing/file.h"
#include "tf_files/store_status.h"

namespace mox::tf_files {
namespace {

using std::chrono::steady_clock;

constexpr int64_t kSmall = 256 << 10;  // a flush of so little is never put off
constexpr int64_t kNewShare = 16;
constexpr auto kLongestWait = std::chrono::seconds(10);
constexpr auto kJustWritten = std::chrono::seconds(10);

struct WrittenNames {
  Mutex mu;
  std::map<std::string, steady_clock::time_point> when MOX_GUARDED_BY(mu);  // only files that are open for writing
};

WrittenNames& written_names() {
  static auto* names = new WrittenNames;
  return *names;
}

}  // namespace

void note_written(const std::string& path) {
  WrittenNames& names = written_names();
  MutexLock lock(names.mu);
  names.when[path] = steady_clock::now();
}

void forget_written(const std::string& path) {
  WrittenNames& names = written_names();
  MutexLock lock(names.mu);
  names.when.erase(path);
}

bool was_just_written(const std::string& path) {
  WrittenNames& names = written_names();
  MutexLock lock(names.mu);
  const auto found = names.when.find(path);
  return found != names.when.end() && steady_clock::now() - found->second < kJustWritten;
}

absl::Status StoreReader::Name(absl::string_view* result) const {
  *result = path_;
  return absl::OkStatus();
}

absl::Status StoreReader::Read(uint64_t offset, absl::string_view& result, absl::Span<char> scratch) const {
  MutexLock lock(mu_);
  size_t got = 0;
  const absl::Status status = status_of([&]() MOX_REQUIRES(mu_) {
    if (file_.tell() != static_cast<int64_t>(offset)) file_.seek(static_cast<int64_t>(offset));
    for (int64_t n = 1; got < scratch.size() && n > 0; got += static_cast<size_t>(n))
      n = file_.read_some(scratch.data() + got, static_cast<int64_t>(scratch.size() - got));
  });
  result = absl::string_view(scratch.data(), got);
  if (status.ok() && got < scratch.size()) return absl::OutOfRangeError("'" + path_ + "': the end of the file");
  return status;
}

StoreWriter::StoreWriter(const std::string& path, const char* mode) : path_(path), file_(path, mode) {}

StoreWriter::~StoreWriter() {
  if (!failed_.ok())
    file_.discard();
  else
    Close().IgnoreError();
}

absl::Status StoreWriter::Append(absl::string_view data) {
  if (failed_.ok()) failed_ = status_of([&] { file_.write({data.data(), data.size()}); });
  return failed_;
}

bool StoreWriter::is_due(int64_t size) const {
  if (shown_ < 0 || size <= kSmall) return true;
  return (size - shown_) * kNewShare >= size || steady_clock::now() - shown_at_ >= kLongestWait;
}

absl::Status StoreWriter::Flush() {
  if (!failed_.ok()) return failed_;
  failed_ = status_of([&] {
    const int64_t size = file_.tell();
    if (size == shown_ || !is_due(size)) return;
    file_.flush();
    shown_ = size;
    shown_at_ = steady_clock::now();
    note_written(path_);
  });
  return failed_;
}

absl::Status StoreWriter::Close() {
  if (file_.closed()) return failed_;
  forget_written(path_);
  if (failed_.ok()) failed_ = status_of([&] { file_.close(); });
  if (!failed_.ok()) file_.discard();
  return failed_;
}

absl::Status StoreWriter::Name(absl::string_view* result) const {
  *result = path_;
  return absl::OkStatus();
}

absl::Status StoreWriter::Tell(int64_t* position) {
  return status_of([&] { *position = file_.tell(); });
}

StoreMemoryRegion::StoreMemoryRegion(const std::string& path) {
  file::read_to(path, [this](int64_t size) {
    size_ = static_cast<uint64_t>(size);
    data_ = std::make_unique<char[]>(size_);
    return data_.get();
  });
}

}  // namespace mox::tf_files
