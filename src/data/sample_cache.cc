#include "data/sample_cache.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <utility>

#include "base/crc32c.h"
#include "base/mutex.h"
#include "base/url.h"
#include "data/storage.h"
#include "moxing/error.h"
#include "moxing/log.h"

namespace mox::data {

namespace fs = std::filesystem;

namespace {

constexpr char kMagic[8] = {'M', 'O', 'X', 'C', 'A', 'C', 'H', '1'};

struct EntryHeader {
  char magic[8];
  uint64_t key_size;
  uint64_t value_size;
  uint32_t checksum;  // of key and value
  uint32_t unused;
};

uint32_t checksum_of(std::string_view key, std::string_view value) {
  return crc32c(crc32c(0, key.data(), key.size()), value.data(), value.size());
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  bool is_open() const { return fd_ >= 0; }
  // -1: unknown.
  int64_t size() const {
    struct stat stat;
    return ::fstat(fd_, &stat) == 0 ? static_cast<int64_t>(stat.st_size) : -1;
  }
  // An entry from its begin: one system call where the file system gives it whole.
  bool read_all(EntryHeader* header, char* key, size_t key_size, char* value, size_t value_size) const {
    iovec parts[] = {{header, sizeof *header}, {key, key_size}, {value, value_size}};
    iovec* part = parts;
    while (part != std::end(parts)) {
      ssize_t n = ::readv(fd_, part, static_cast<int>(std::end(parts) - part));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 || (n == 0 && part->iov_len > 0)) return false;
      while (part != std::end(parts) && static_cast<size_t>(n) >= part->iov_len) n -= (part++)->iov_len;
      if (n > 0) *part = {static_cast<char*>(part->iov_base) + n, part->iov_len - static_cast<size_t>(n)};
    }
    return true;
  }
  bool write_all(const char* data, size_t size) const {
    while (size > 0) {
      const ssize_t n = ::write(fd_, data, size);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return false;
      data += n;
      size -= static_cast<size_t>(n);
    }
    return true;
  }

 private:
  int fd_;
};

// FNV-1a: names the entry's file; the key inside tells two keys with one name apart.
std::string hash_name(const std::string& key) {
  uint64_t value = 0xcbf29ce484222325u;
  for (const char c : key) value = (value ^ static_cast<uint8_t>(c)) * 0x100000001b3u;
  char text[17];
  std::snprintf(text, sizeof text, "%016lx", static_cast<unsigned long>(value));
  return text;
}

std::string resolve(const std::string& dir) {
  if (has_scheme(dir)) throw InvalidArgumentError("cache_dir is " + dir + ", expected a folder on a local disk");
  if (dir != "ENV") return dir;
  const char* path = std::getenv("DLS_LOCAL_CACHE_PATH");
  if (!path || !*path)
    throw InvalidArgumentError(
        "cache_dir is ENV, but DLS_LOCAL_CACHE_PATH is not set; set it to a folder on a local disk");
  return path;
}

struct OpenCaches {
  Mutex mutex;
  std::map<std::string, std::weak_ptr<SampleCache>> by_folder MOX_GUARDED_BY(mutex);
};

OpenCaches& open_caches() {
  static OpenCaches caches;
  return caches;
}

}  // namespace

void SampleCache::check_folder(const std::string& dir) {
  const std::string folder = resolve(dir);
  std::error_code error;
  fs::create_directories(folder, error);
  if (!error && ::access(folder.c_str(), W_OK | X_OK) != 0) error = std::error_code(errno, std::generic_category());
  if (error)
    throw InvalidArgumentError("cache_dir: folder " + folder + " cannot be written: " + error.message() +
                               "; give a folder on a local disk that this user may write");
}

std::shared_ptr<SampleCache> SampleCache::open(const std::string& dir, bool remove_on_finish) {
  // Only what is below this folder is ever removed.
  const std::string folder = join_path(resolve(dir), "mox-cache");
  std::error_code error;
  fs::create_directories(join_path(folder, "writing"), error);
  if (error)
    throw InvalidArgumentError("cache_dir: folder " + folder + " cannot be made: " + error.message() +
                               "; give a folder on a local disk that this user may write");
  OpenCaches& caches = open_caches();
  MutexLock lock(caches.mutex);
  auto cache = caches.by_folder[folder].lock();
  if (!cache) {
    cache.reset(new SampleCache(folder));
    caches.by_folder[folder] = cache;
  }
  if (!remove_on_finish) cache->keep_ = true;
  return cache;
}

SampleCache::SampleCache(std::string folder) : folder_(std::move(folder)) {
  lock_folder();
  remove_abandoned_writes();
}

SampleCache::~SampleCache() {
  // Without the lock (a file system that has none) this process alone decides.
  if (!keep_ && (in_use_ < 0 || ::flock(in_use_, LOCK_EX | LOCK_NB) == 0)) {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  if (in_use_ >= 0) ::close(in_use_);
}

// Another process may remove the folder between the steps: then they are done again.
void SampleCache::lock_folder() {
  const std::string path = join_path(folder_, "in_use");
  for (;;) {
    std::error_code ignored;
    fs::create_directories(join_path(folder_, "writing"), ignored);
    in_use_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (in_use_ < 0) return;
    struct stat here, there;
    const bool locked = ::flock(in_use_, LOCK_SH) == 0;
    if (!locked || (::fstat(in_use_, &here) == 0 && ::stat(path.c_str(), &there) == 0 && here.st_ino == there.st_ino)) {
      if (!locked) ::close(std::exchange(in_use_, -1));
      return;
    }
    ::close(in_use_);
  }
}

// Temporary files are named after the process that writes them.
void SampleCache::remove_abandoned_writes() const {
  std::error_code error;
  for (const auto& item : fs::directory_iterator(join_path(folder_, "writing"), error)) {
    const auto writer = static_cast<pid_t>(std::strtol(item.path().filename().c_str(), nullptr, 10));
    if (writer <= 0 || (::kill(writer, 0) != 0 && errno == ESRCH)) fs::remove(item.path(), error);
  }
}

std::string SampleCache::entry_path(const std::string& key) const {
  const std::string name = hash_name(key);
  return folder_ + "/" + name.substr(0, 2) + "/" + name.substr(2);
}

bool SampleCache::read(const std::string& key, tensorflow::tstring* value) {
  const std::string path = entry_path(key);
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.is_open()) return false;
  EntryHeader header;
  std::string found(key.size(), '\0');
  const int64_t rest = file.size() - static_cast<int64_t>(sizeof header + key.size());
  if (rest >= 0 && rest <= kMostFileBytes) {
    value->resize_uninitialized(static_cast<size_t>(rest));
    if (file.read_all(&header, found.data(), found.size(), value->mdata(), value->size()) &&
        std::memcmp(header.magic, kMagic, sizeof kMagic) == 0 && header.key_size == key.size() &&
        header.value_size == value->size() && found == key &&
        checksum_of(key, std::string_view(value->data(), value->size())) == header.checksum)
      return true;
  }
  log_warning("cache entry " + path + " is damaged and is written again");
  ::unlink(path.c_str());
  return false;
}

void SampleCache::write(const std::string& key, std::string_view value) {
  if (!writes_) return;
  const std::string temporary = temporary_path();
  EntryHeader header{};
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  header.key_size = key.size();
  header.value_size = value.size();
  header.checksum = checksum_of(key, value);
  {
    Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (!file.is_open() || !file.write_all(reinterpret_cast<const char*>(&header), sizeof header) ||
        !file.write_all(key.data(), key.size()) || !file.write_all(value.data(), value.size()))
      return stop_writing(temporary, std::strerror(errno));
  }
  const std::string path = entry_path(key);
  std::error_code error;
  fs::create_directories(fs::path(path).parent_path(), error);
  if (::rename(temporary.c_str(), path.c_str()) != 0) stop_writing(temporary, std::strerror(errno));
}

std::string SampleCache::temporary_path() {
  return folder_ + "/writing/" + std::to_string(::getpid()) + "-" + std::to_string(count_.fetch_add(1));
}

namespace {

// Copies block by block: the file may be larger than the memory.
absl::Status copy_blocks(const std::string& source, const Descriptor& to) {
  constexpr size_t kBlock = 4 << 20;
  std::unique_ptr<tensorflow::RandomAccessFile> file;
  if (auto status = open_random(source, &file); !status.ok()) return status;
  std::string block(kBlock, '\0');
  for (uint64_t at = 0;;) {
    absl::string_view got;
    const auto status = file->Read(at, got, absl::MakeSpan(block.data(), kBlock));
    if (!status.ok() && !absl::IsOutOfRange(status)) return status;
    if (!to.write_all(got.data(), got.size())) return absl::ResourceExhaustedError(std::strerror(errno));
    at += got.size();
    if (got.size() < kBlock) return absl::OkStatus();
  }
}

}  // namespace

std::string SampleCache::local_copy(const std::string& key, const std::string& source, int64_t size) {
  const std::string path = entry_path(key) + ".copy";
  std::error_code error;
  const auto is_whole = [&](const std::string& file) {
    const auto found = static_cast<int64_t>(fs::file_size(file, error));
    return !error && (size < 0 || found == size);
  };
  if (is_whole(path)) return path;
  if (!writes_) return source;
  const std::string temporary = temporary_path();
  {
    Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    const auto status = file.is_open() ? copy_blocks(source, file) : absl::ResourceExhaustedError(std::strerror(errno));
    if (!status.ok() || !is_whole(temporary)) {
      if (absl::IsResourceExhausted(status)) stop_writing(temporary, std::string(status.message()));
      ::unlink(temporary.c_str());
      return source;  // reading it says what is wrong
    }
  }
  fs::create_directories(fs::path(path).parent_path(), error);
  if (::rename(temporary.c_str(), path.c_str()) == 0) return path;
  stop_writing(temporary, std::strerror(errno));
  return source;
}

void SampleCache::remove_copy(const std::string& path) {
  log_warning("cache entry " + path + " is damaged and is written again in the next epoch");
  ::unlink(path.c_str());
}

void SampleCache::stop_writing(const std::string& path, const std::string& reason) {
  ::unlink(path.c_str());
  if (writes_.exchange(false))
    log_warning("cache_dir: cannot write " + path + ": " + reason +
                "; nothing more is cached in this run, and what is missing is read from the source");
}

}  // namespace mox::data
