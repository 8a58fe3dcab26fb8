#include "tf_files/store_file_system.h"

#include <cerrno>

#include "moxing/file.h"
#include "moxing/file_system.h"
#include "moxing/log.h"
#include "tensorflow/core/platform/env.h"
#include "tensorflow/core/platform/file_system_helper.h"
#include "tf_files/store_files.h"
#include "tf_files/store_status.h"

namespace mox::tf_files {

namespace tf = tensorflow;

namespace {

// `x` and `x/` name one folder for TensorFlow.
std::string without_slash(std::string path) {
  while (path.size() > 1 && path.back() == '/' && path[path.size() - 2] != '/') path.pop_back();
  return path;
}

[[noreturn]] void throw_missing(const char* operation, const std::string& path) {
  throw file::MoxFileNotExistsException(std::string(operation) + " '" + path + "': no such file or folder");
}

void need_file(const char* operation, const std::string& path) {
  const auto found = file::stat(path);
  if (found.is_directory)
    throw file::OsError(EISDIR, std::string(operation) + " '" + path + "': this is a folder, not a file");
}

void need_folder(const char* operation, const std::string& path) {
  if (file::is_directory(path)) return;
  if (!file::exists(path)) throw_missing(operation, path);
  throw file::OsError(ENOTDIR, std::string(operation) + " '" + path + "': this is a file, not a folder");
}

}  // namespace

absl::Status StoreFileSystem::NewRandomAccessFile(const std::string& path, Token*,
                                                  std::unique_ptr<tf::RandomAccessFile>* result) {
  return status_of([&] { *result = std::make_unique<StoreReader>(path); });
}

absl::Status StoreFileSystem::NewWritableFile(const std::string& path, Token*,
                                              std::unique_ptr<tf::WritableFile>* result) {
  return status_of([&] { *result = std::make_unique<StoreWriter>(path, "wb"); });
}

absl::Status StoreFileSystem::NewAppendableFile(const std::string& path, Token*,
                                                std::unique_ptr<tf::WritableFile>* result) {
  return status_of([&] { *result = std::make_unique<StoreWriter>(path, "ab"); });
}

absl::Status StoreFileSystem::NewReadOnlyMemoryRegionFromFile(const std::string& path, Token*,
                                                              std::unique_ptr<tf::ReadOnlyMemoryRegion>* result) {
  return status_of([&] { *result = std::make_unique<StoreMemoryRegion>(path); });
}

absl::Status StoreFileSystem::FileExists(const std::string& path, Token*) {
  if (was_just_written(path)) return absl::OkStatus();
  return status_of([&] {
    if (!file::exists(path)) throw_missing("exists", path);
  });
}

absl::Status StoreFileSystem::IsDirectory(const std::string& path, Token*) {
  return status_of([&] { need_folder("is_directory", path); });
}

absl::Status StoreFileSystem::Stat(const std::string& path, Token*, tf::FileStatistics* result) {
  return status_of([&] {
    const file::Stat found = file::stat(path);
    *result = tf::FileStatistics(found.length, found.mtime_nsec, found.is_directory);
  });
}

absl::Status StoreFileSystem::GetFileSize(const std::string& path, Token*, uint64_t* size) {
  return status_of([&] {
    const file::Stat found = file::stat(path);
    if (found.is_directory) throw file::OsError(EISDIR, "get_size '" + path + "': this is a folder, not a file");
    *size = static_cast<uint64_t>(found.length);
  });
}

absl::Status StoreFileSystem::GetChildren(const std::string& folder, Token*, std::vector<std::string>* names) {
  return status_of([&] {
    names->clear();
    file::list_each(folder, {}, [&](const file::DirEntry& entry) {
      names->push_back(entry.name);
      return true;
    });
  });
}

absl::Status StoreFileSystem::GetMatchingPaths(const std::string& pattern, Token*, std::vector<std::string>* paths) {
  const absl::Status status = tf::internal::GetMatchingPaths(this, tf::Env::Default(), pattern, paths);
  // RestoreV2 asks with the plain name of a checkpoint, which may hold what patterns are made of.
  if (status.ok() && paths->empty() && pattern.find_first_of("*?[\\") != std::string::npos &&
      FileExists(pattern, nullptr).ok())
    paths->push_back(pattern);
  return status;
}

absl::Status StoreFileSystem::CreateDir(const std::string& folder, Token*) {
  return status_of([&] { file::mk_dir(without_slash(folder)); });
}

absl::Status StoreFileSystem::RecursivelyCreateDir(const std::string& folder, Token*) {
  return status_of([&] { file::make_dirs(without_slash(folder)); });
}

absl::Status StoreFileSystem::DeleteFile(const std::string& path, Token*) {
  forget_written(path);
  return status_of([&] {
    need_file("remove", path);
    file::remove(path);
  });
}

absl::Status StoreFileSystem::DeleteDir(const std::string& folder, Token*) {
  return status_of([&] {
    need_folder("remove", folder);
    file::list_each(folder, {}, [&](const file::DirEntry& entry) -> bool {
      throw file::OsError(ENOTEMPTY, "remove '" + folder + "': the folder is not empty, it holds " + entry.name);
    });
    file::remove(without_slash(folder) + "/", /*recursive=*/true);
  });
}

absl::Status StoreFileSystem::DeleteRecursively(const std::string& folder, Token*, int64_t* undeleted_files,
                                                int64_t* undeleted_dirs) {
  *undeleted_files = 0;
  *undeleted_dirs = 0;
  const absl::Status status = status_of([&] {
    if (!file::exists(folder)) throw_missing("remove", folder);
    file::remove(folder, /*recursive=*/true);
  });
  if (!status.ok()) *undeleted_dirs = 1;
  return status;
}

absl::Status StoreFileSystem::RenameFile(const std::string& from, const std::string& to, Token*) {
  forget_written(from);
  return status_of([&] { file::rename(without_slash(from), without_slash(to)); });
}

absl::Status StoreFileSystem::CopyFile(const std::string& from, const std::string& to, Token*) {
  return status_of([&] { file::copy(from, to); });
}

absl::Status StoreFileSystem::HasAtomicMove(const std::string&, bool* has_atomic_move) {
  *has_atomic_move = false;
  return absl::OkStatus();
}

namespace {

// The one thing that happens when the library is loaded: a scheme must be known before any graph runs, also to a
// program that calls none of our functions. What is registered later follows then.
[[maybe_unused]] const bool kWatching = [] {
  file::watch_file_systems([](const std::string& scheme) {
    const absl::Status status = tf::Env::Default()->RegisterFileSystem(scheme, [] { return new StoreFileSystem; });
    if (!status.ok())
      log_warning("TensorFlow serves " + scheme +
                  ":// itself: its readers and checkpoints do not use the file system " +
                  "that was registered with MoXing (" + std::string(status.message()) + ")");
  });
  return true;
}();

}  // namespace

}  // namespace mox::tf_files
