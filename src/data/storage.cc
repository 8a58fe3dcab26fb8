#include "data/storage.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <map>

#include "base/text.h"
#include "base/url.h"
#include "data/parallel.h"
#include "data/wait_log.h"
#include "file/glob.h"
#include "graph/graph_state.h"
#include "moxing/error.h"
#include "moxing/file.h"
#include "moxing/log.h"
#include "tensorflow/core/platform/env.h"
#include "tf_files/store_files.h"
#include "tf_files/store_status.h"

namespace mox::data {

namespace fs = std::filesystem;
namespace tf = tensorflow;

namespace {

// A link to a folder that holds it: following it never ends.
bool links_upwards(const fs::path& entry) {
  std::error_code error;
  if (!fs::is_symlink(entry, error)) return false;
  const fs::path target = fs::canonical(entry, error);
  if (error) return false;
  const fs::path here = fs::canonical(entry.parent_path(), error);
  return std::mismatch(target.begin(), target.end(), here.begin(), here.end()).first == target.end();
}

// An entry of a local folder, as it is found and then looked at.
struct LocalEntry {
  FolderEntry entry;
  unsigned char type = DT_UNKNOWN;  // as the folder tells it
  const char* left_out = nullptr;   // why it is
};

std::vector<LocalEntry> names_in(DIR* dir, const std::string& folder, LeftOut* left_out) {
  std::vector<LocalEntry> entries;
  for (;;) {
    errno = 0;
    const dirent* item = ::readdir(dir);
    if (!item && errno != 0)  // half a folder is not the folder
      throw DataError("data folder " + folder + " cannot be listed: " + std::strerror(errno));
    if (!item) return entries;
    const std::string_view name = item->d_name;
    if (name[0] != '.')
      entries.push_back({.entry = {.name = std::string(name)}, .type = item->d_type});
    else if (name != "." && name != "..")
      left_out->add(item->d_name);
  }
}

// One question an entry: on some file systems each takes a millisecond.
void look_at(int dir, const std::string& folder, LocalEntry* local) {
  FolderEntry& entry = local->entry;
  const bool may_be_link = local->type == DT_LNK || local->type == DT_UNKNOWN;
  if (may_be_link && links_upwards(fs::path(folder) / entry.name)) {
    local->left_out = "links back to a folder above";
    return;
  }
  struct ::stat stat;
  if (::fstatat(dir, entry.name.c_str(), &stat, 0) != 0) {
    entry.size = -1;  // a dangling link is listed, so that it is counted and named when it is read
  } else if (S_ISDIR(stat.st_mode)) {
    entry.is_folder = true;
  } else if (!S_ISREG(stat.st_mode)) {
    local->left_out = "is neither a file nor a folder";
  } else {
    entry.size = stat.st_size;
    const std::chrono::nanoseconds since_1970 =
        std::chrono::seconds(stat.st_mtim.tv_sec) + std::chrono::nanoseconds(stat.st_mtim.tv_nsec);
    // Counted as the standard library does: caches name their files by it.
    entry.mtime_nsec = std::chrono::file_clock::from_sys(std::chrono::sys_time<std::chrono::nanoseconds>(since_1970))
                           .time_since_epoch()
                           .count();
  }
}

std::vector<FolderEntry> list_local(const std::string& folder, LeftOut* left_out, const ListOptions& options) {
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(folder.c_str()), ::closedir);
  if (!dir && (errno == ENOENT || errno == ENOTDIR))
    throw NotFoundError("data folder " + folder + " does not exist, or is not a folder");
  if (!dir) throw DataError("data folder " + folder + " cannot be listed: " + std::strerror(errno));
  std::vector<LocalEntry> found = names_in(dir.get(), folder, left_out);
  constexpr size_t kChunk = 512;
  parallel_for((found.size() + kChunk - 1) / kChunk, options.threads, [&](size_t chunk) {
    const size_t end = std::min(found.size(), (chunk + 1) * kChunk);
    for (size_t i = chunk * kChunk; i < end; ++i) look_at(::dirfd(dir.get()), folder, &found[i]);
    if (options.wait_log) options.wait_log->add(static_cast<int64_t>(end - chunk * kChunk));
  });
  std::vector<FolderEntry> entries;
  entries.reserve(found.size());
  for (LocalEntry& local : found) {
    if (local.left_out)
      log_warning("data folder " + folder + ": " + local.entry.name + " " + local.left_out + " and is left out");
    else
      entries.push_back(std::move(local.entry));
  }
  return entries;
}

[[noreturn]] void reject_size(const std::string& path, int64_t size, int64_t most) {
  throw DataError("data file " + path + " has " + std::to_string(size) + " bytes, expected at most " +
                  std::to_string(most));
}

// A local file that is too large, or no file, is an error before anything is read.
void check_local_file(const std::string& path, int64_t most) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!error && fs::is_other(status))
    throw DataError("data file " + path + " is a pipe, a socket or a device, expected a file");
  if (error || !fs::is_regular_file(status)) return;  // reading it tells what is wrong
  const auto size = static_cast<int64_t>(fs::file_size(path, error));
  if (!error && size > most) reject_size(path, size, most);
}

std::vector<FolderEntry> list_remote(const std::string& folder, LeftOut* left_out, const ListOptions& options) {
  constexpr size_t kPage = 1000;
  std::vector<FolderEntry> entries;
  try {
    file::list_each(folder, {}, [&](const file::DirEntry& entry) {
      if (!entry.name.empty() && entry.name[0] == '.')
        left_out->add(entry.name);
      else if (!entry.name.empty())
        entries.push_back({entry.name, entry.is_dir(), entry.stat.length, entry.stat.mtime_nsec});
      if (options.wait_log && entries.size() % kPage == 0) options.wait_log->add(kPage);
      return true;
    });
    if (options.wait_log) options.wait_log->add(static_cast<int64_t>(entries.size() % kPage));
  } catch (const file::MoxFileRespException& e) {
    throw file::MoxFileRespException("data folder " + folder + " cannot be listed: " + e.what(), e.resp());
  }
  return entries;
}

}  // namespace

std::string join_path(const std::string& folder, const std::string& name) {
  if (folder.empty() || folder.back() == '/') return folder + name;
  return folder + "/" + name;
}

bool is_same_or_below(const std::string& path, const std::string& folder) {
  const auto whole = [](const std::string& name) {
    std::error_code error;
    std::string text = has_scheme(name) ? name : fs::weakly_canonical(fs::absolute(name, error), error).string();
    while (!text.empty() && text.back() == '/') text.pop_back();
    return as_s3(std::move(text)) + "/";
  };
  return whole(path).rfind(whole(folder), 0) == 0;
}

std::string read_whole_file(const std::string& path, int64_t most) {
  std::string content;
  if (has_scheme(path)) {
    file::read_to(path, [&](int64_t bytes) {
      if (bytes > most) reject_size(path, bytes, most);
      content.resize(static_cast<size_t>(bytes));
      return content.data();
    });
    return content;
  }
  check_local_file(path, most);
  throw_if_error(tf::ReadFileToString(tf::Env::Default(), path, &content), "data file " + path + " cannot be read");
  return content;
}

absl::Status read_into(const std::string& path, tf::tstring* content) {
  const auto failed = [&](const absl::Status& status) {
    return absl::Status(status.code(), "data file " + path + " cannot be read: " + std::string(status.message()));
  };
  if (has_scheme(path)) {
    return tf_files::status_of([&] {
      file::read_to(path, [&](int64_t bytes) {
        if (bytes > kMostFileBytes) reject_size(path, bytes, kMostFileBytes);
        content->resize_uninitialized(static_cast<size_t>(bytes));
        return content->mdata();
      });
    });
  }
  try {
    check_local_file(path, kMostFileBytes);
  } catch (const DataError& e) {
    return absl::DataLossError(e.what());
  }
  tf::Env* env = tf::Env::Default();
  uint64_t size = 0;
  if (const auto status = env->GetFileSize(path, &size); !status.ok()) return failed(status);
  std::unique_ptr<tf::RandomAccessFile> file;
  if (const auto status = env->NewRandomAccessFile(path, &file); !status.ok()) return failed(status);
  content->resize_uninitialized(static_cast<size_t>(size));
  absl::string_view got;
  if (const auto status = file->Read(0, got, absl::MakeSpan(content->mdata(), content->size()));
      !status.ok() && !absl::IsOutOfRange(status))
    return failed(status);
  if (got.size() != content->size())
    return absl::DataLossError("data file " + path + " ended at byte " + std::to_string(got.size()) + ", expected " +
                               std::to_string(size) + " bytes");
  if (got.data() != content->data()) std::copy(got.begin(), got.end(), content->mdata());
  return absl::OkStatus();
}

bool file_exists(const std::string& path) { return file::exists(path); }

void write_whole_file(const std::string& path, const std::string& content) {
  if (const size_t slash = path.rfind('/'); slash != std::string::npos) file::make_dirs(path.substr(0, slash));
  file::write(path, content);
}

void copy_file(const std::string& from, const std::string& to) {
  if (const size_t slash = to.rfind('/'); slash != std::string::npos) file::make_dirs(to.substr(0, slash));
  file::copy(from, to);
}

void make_folders(const std::string& folder) { file::make_dirs(folder); }

void remove_folder(const std::string& folder) { file::remove(folder, /*recursive=*/true); }

bool has_image_extension(const std::string& name) {
  const size_t dot = name.rfind('.');
  if (dot == std::string::npos) return false;
  const std::string extension = lower_case(name.substr(dot + 1));
  for (const char* known : {"jpg", "jpeg", "jpe", "jfif", "png", "bmp", "gif", "webp"})
    if (extension == known) return true;
  return false;
}

void LeftOut::add(const std::string& name) {
  ++count_;
  if (named_.size() < kNamed) named_.push_back(name);
}

void LeftOut::add(const LeftOut& other, const std::string& prefix) {
  count_ += other.count_;
  for (const auto& name : other.named_)
    if (named_.size() < kNamed) named_.push_back(prefix + name);
}

std::string LeftOut::text() const {
  std::string text;
  for (const auto& name : named_) text += (text.empty() ? "" : ", ") + name;
  const int64_t more = count_ - static_cast<int64_t>(named_.size());
  return more > 0 ? text + " and " + std::to_string(more) + " more" : text;
}

std::vector<FolderEntry> list_folder(const std::string& folder, LeftOut* left_out, const ListOptions& options) {
  LeftOut ignored;
  if (!left_out) left_out = &ignored;
  auto entries = has_scheme(folder) ? list_remote(folder, left_out, options) : list_local(folder, left_out, options);
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return entries;
}

std::vector<FolderEntry> matching_files(const std::string& folder, const std::vector<std::string>& patterns) {
  std::map<std::string, FolderEntry> found;
  std::map<std::string, std::vector<FolderEntry>> listed;  // by the patterns' folder part
  for (const std::string& pattern : patterns) {
    const size_t name_at = pattern.rfind('/') + 1;  // 0 when there is none
    const std::string part = pattern.substr(0, name_at), names = pattern.substr(name_at);
    if (has_scheme(pattern) || part[0] == '/')
      throw InvalidArgumentError("file_pattern '" + pattern +
                                 "' names a place of its own; give its folder as the data "
                                 "folder, which is " +
                                 folder);
    if (!listed.count(part)) listed[part] = list_folder(part.empty() ? folder : join_path(folder, part));
    for (FolderEntry entry : listed[part]) {
      if (entry.is_folder || !file::match_component(names, entry.name)) continue;
      entry.name = part + entry.name;
      found.emplace(entry.name, entry);
    }
  }
  std::vector<FolderEntry> files;
  for (auto& [name, entry] : found) files.push_back(std::move(entry));
  return files;
}

std::string records_pattern(const std::string& folder) {
  for (const char* pattern : {"*.tfrecord", "*-[0-9]*-of-[0-9]*"})
    if (!matching_files(folder, {pattern}).empty()) return pattern;
  return "";
}

absl::Status open_random(const std::string& path, std::unique_ptr<tf::RandomAccessFile>* file) {
  constexpr int64_t kReadAhead = 8 << 20;  // of each object: a pipeline reads several at once
  if (!has_scheme(path)) return tf::Env::Default()->NewRandomAccessFile(path, file);
  return tf_files::status_of([&] { *file = std::make_unique<tf_files::StoreReader>(path, kReadAhead); });
}

std::unique_ptr<tf::RandomAccessFile> open_random(const std::string& path) {
  std::unique_ptr<tf::RandomAccessFile> file;
  throw_if_error(open_random(path, &file), "data file " + path + " cannot be opened");
  return file;
}

}  // namespace mox::data
