// A plugin: mem://NAME/…, files in this process's memory. Keys are kept in byte order; a folder is what keys begin
// with, an empty one a key that ends with '/'.
#include <moxing/file_system.h>
#include <moxing/plugin.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <map>
#include <mutex>

namespace {

using namespace mox::file;

struct Content {
  std::string bytes;
  int64_t mtime_nsec = 0;
};

[[noreturn]] void fail(int code, const char* operation, const Location& location, const char* why) {
  throw OsError(code, std::string(operation) + " '" + location.str() + "': " + why);
}

// "NAME/a/b"; of a folder, and of the root, with a '/' at its end.
std::string key_of(const Location& location) { return location.bucket + "/" + location.key; }
std::string prefix_of(const Location& folder) { return folder.bucket + "/" + folder.folder_prefix(); }

class MemoryFiles : public FileSystem {
 public:
  std::optional<Stat> stat(const Location& location) override {
    std::lock_guard lock(mu_);
    const auto found = location.names_folder() ? files_.end() : files_.find(key_of(location));
    if (!location.is_bucket() && found != files_.end()) return stat_of(found->second);
    if (has_below(prefix_of(location))) return folder_stat();
    return std::nullopt;
  }

  bool list(const Location& folder, bool recursive, const EntryVisitor& visit) override {
    std::vector<DirEntry> entries;  // visited without the lock: the visitor may call
    const bool found = collect(folder, recursive, &entries);
    for (DirEntry& entry : entries)
      if (!visit(entry)) break;
    return found;
  }

  std::unique_ptr<Stream> open(const Location& location, const OpenMode& mode) override;

  void make_folder(const Location& location, bool parents) override {
    std::lock_guard lock(mu_);
    const std::string key = prefix_of(location);
    if (!parents && has_below(key)) fail(EEXIST, "mk_dir", location, "this folder is there already");
    const std::string above = key.substr(0, key.rfind('/', key.size() - 2) + 1);
    if (!parents && !location.is_bucket() && !has_below(above))
      fail(ENOENT, "mk_dir", location, "the parent folder does not exist; make_dirs makes parents too");
    if (!has_below(key)) files_[key] = {"", now()};
  }

  void remove_file(const Location& location) override {
    std::lock_guard lock(mu_);
    if (!location.is_bucket() && !location.names_folder()) files_.erase(key_of(location));
  }

  void remove_folder(const Location& location) override {
    std::lock_guard lock(mu_);
    const std::string prefix = prefix_of(location);
    for (auto at = files_.lower_bound(prefix); at != files_.end() && at->first.starts_with(prefix);)
      at = files_.erase(at);
  }

  // Not needed: without it a file is copied and removed.
  bool rename(const Location& src, const Location& dst) override {
    std::lock_guard lock(mu_);
    const auto found = files_.find(key_of(src));
    if (found == files_.end()) return false;  // a folder
    files_[key_of(dst)] = std::move(found->second);
    files_.erase(found);
    return true;
  }

  std::optional<std::string> get(const std::string& key) const {
    std::lock_guard lock(mu_);
    const auto found = files_.find(key);
    return found == files_.end() ? std::nullopt : std::optional(found->second.bytes);
  }
  void put(const std::string& key, const std::string& bytes) {
    std::lock_guard lock(mu_);
    files_[key] = {bytes, now()};
  }

 private:
  static int64_t now() { return std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count(); }
  static Stat stat_of(const Content& content) {
    return {static_cast<int64_t>(content.bytes.size()), content.mtime_nsec, false, 0100644, ""};
  }
  static Stat folder_stat() { return {0, 0, true, 0040755, ""}; }

  bool has_below(const std::string& prefix) const {
    const auto at = files_.lower_bound(prefix);
    return at != files_.end() && at->first.starts_with(prefix);
  }

  bool collect(const Location& folder, bool recursive, std::vector<DirEntry>* entries) const {
    std::lock_guard lock(mu_);
    const std::string prefix = prefix_of(folder), above = folder.as_file().str() + "/";
    std::string last;  // the folder that was told last, with its '/'
    for (auto at = files_.lower_bound(prefix); at != files_.end() && at->first.starts_with(prefix); ++at) {
      const std::string name = at->first.substr(prefix.size());
      for (size_t slash = name.find('/'); slash != std::string::npos; slash = name.find('/', slash + 1)) {
        const std::string below = name.substr(0, slash + 1);
        if (!last.starts_with(below)) {
          entries->push_back({name.substr(0, slash), above + name.substr(0, slash), folder_stat()});
          last = below;
        }
        if (!recursive) break;
      }
      const bool is_here = !name.empty() && name.back() != '/';
      if (is_here && (recursive || name.find('/') == std::string::npos))
        entries->push_back({name, above + name, stat_of(at->second)});
    }
    return has_below(prefix);
  }

  mutable std::mutex mu_;
  std::map<std::string, Content> files_;  // guarded by mu_
};

// A copy of the content, shown at its path by flush and close.
class MemoryStream : public Stream {
 public:
  MemoryStream(MemoryFiles* files, const Location& location, const OpenMode& mode, std::string bytes, bool is_new)
      : files_(files), key_(key_of(location)), mode_(mode), bytes_(std::move(bytes)), changed_(is_new) {
    if (mode.append) at_ = size();
  }
  int64_t read(char* data, int64_t size) override {
    const int64_t count = std::max<int64_t>(0, std::min(size, this->size() - at_));
    std::memcpy(data, bytes_.data() + at_, static_cast<size_t>(count));
    at_ += count;
    return count;
  }
  void write(const char* data, int64_t size) override {
    if (mode_.append) at_ = this->size();
    if (at_ + size > this->size()) bytes_.resize(static_cast<size_t>(at_ + size));
    std::memcpy(bytes_.data() + at_, data, static_cast<size_t>(size));
    at_ += size;
    changed_ = true;
  }
  int64_t seek(int64_t offset, int whence) override {
    const int64_t from = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? at_ : size();
    if (from + offset < 0) throw OsError(EINVAL, "seek 'mem://" + key_ + "': before the beginning");
    return at_ = from + offset;
  }
  int64_t tell() const override { return at_; }
  int64_t size() override { return static_cast<int64_t>(bytes_.size()); }
  bool seekable() const override { return true; }
  void truncate(int64_t size) override {
    bytes_.resize(static_cast<size_t>(size));
    changed_ = true;
  }
  void flush() override {
    if (changed_) files_->put(key_, bytes_);
    changed_ = false;
  }
  void close() override { flush(); }

 private:
  MemoryFiles* files_;
  const std::string key_;
  const OpenMode mode_;
  std::string bytes_;
  int64_t at_ = 0;
  bool changed_;  // the path does not show it yet
};

std::unique_ptr<Stream> MemoryFiles::open(const Location& location, const OpenMode& mode) {
  if (location.is_bucket() || location.names_folder())
    fail(EISDIR, "open", location, "this names a folder, not a file");
  std::optional<std::string> there = get(key_of(location));
  if (!there && !mode.create) throw MoxFileNotExistsException("open '" + location.str() + "': no such file");
  const bool is_new = !there || mode.truncate;
  return std::make_unique<MemoryStream>(this, location, mode, is_new ? "" : std::move(*there), is_new);
}

}  // namespace

void add_memory_files() {
  auto files = std::make_unique<MemoryFiles>();
  files->put("demo/hello.txt", "hello from memory\n");
  register_file_system("mem", std::move(files));
}

MOX_PLUGIN(add_memory_files)
