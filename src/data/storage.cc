#include "data/storage.h"

#include <algorithm>
#include <filesystem>

#include "graph/graph_state.h"
#include "moxing/error.h"
#include "moxing/log.h"
#include "tensorflow/core/platform/env.h"

namespace mox::data {

namespace fs = std::filesystem;
namespace tf = tensorflow;

namespace {

bool is_remote(const std::string& path) { return path.find("://") != std::string::npos; }

// A link to a folder that holds it: following it never ends.
bool links_upwards(const fs::path& entry) {
  std::error_code error;
  if (!fs::is_symlink(entry, error)) return false;
  const fs::path target = fs::canonical(entry, error);
  if (error) return false;
  const fs::path here = fs::canonical(entry.parent_path(), error);
  return std::mismatch(target.begin(), target.end(), here.begin(), here.end()).first == target.end();
}

std::vector<FolderEntry> list_local(const std::string& folder) {
  std::error_code error;
  fs::directory_iterator it(folder, error);
  if (error == std::errc::no_such_file_or_directory || error == std::errc::not_a_directory)
    throw NotFoundError("data folder " + folder + " does not exist, or is not a folder");
  if (error) throw DataError("data folder " + folder + " cannot be listed: " + error.message());
  std::vector<FolderEntry> entries;
  for (const auto& item : it) {
    FolderEntry entry;
    entry.name = item.path().filename().string();
    if (entry.name[0] == '.') continue;
    if (links_upwards(item.path())) {
      log_warning("data folder " + folder + ": " + entry.name + " links back to a folder above and is left out");
      continue;
    }
    entry.is_folder = item.is_directory(error);
    if (!entry.is_folder) {
      entry.size = static_cast<int64_t>(item.file_size(error));
      // A dangling link is listed, so that it is counted and named when it is read.
      if (error) entry.size = 0;
      const auto time = item.last_write_time(error);
      if (!error) entry.mtime_nsec = time.time_since_epoch().count();
    }
    entries.push_back(entry);
  }
  return entries;
}

std::vector<FolderEntry> list_remote(const std::string& folder) {
  tf::Env* env = tf::Env::Default();
  std::vector<std::string> names;
  throw_if_error(env->GetChildren(folder, &names), "data folder " + folder + " cannot be listed");
  std::vector<FolderEntry> entries;
  for (auto& name : names) {
    if (!name.empty() && name.back() == '/') name.pop_back();
    if (name.empty() || name[0] == '.') continue;
    tf::FileStatistics stat;
    throw_if_error(env->Stat(join_path(folder, name), &stat), "data folder " + folder + " cannot be listed");
    entries.push_back({name, stat.is_directory, stat.length, stat.mtime_nsec});
  }
  return entries;
}

}  // namespace

std::string join_path(const std::string& folder, const std::string& name) {
  if (folder.empty() || folder.back() == '/') return folder + name;
  return folder + "/" + name;
}

std::string base_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

std::string read_whole_file(const std::string& path) {
  std::string content;
  throw_if_error(tf::ReadFileToString(tf::Env::Default(), path, &content), "data file " + path + " cannot be read");
  return content;
}

absl::Status read_into(const std::string& path, int64_t size, tf::tstring* content) {
  const auto failed = [&](const absl::Status& status) {
    return absl::Status(status.code(), "data file " + path + " cannot be read: " + std::string(status.message()));
  };
  tf::Env* env = tf::Env::Default();
  // A local file may have changed since it was listed.
  if (size < 0 || !is_remote(path)) {
    uint64_t now = 0;
    if (const auto status = env->GetFileSize(path, &now); !status.ok()) return failed(status);
    size = static_cast<int64_t>(now);
  }
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

bool file_exists(const std::string& path) { return tf::Env::Default()->FileExists(path).ok(); }

void write_whole_file(const std::string& path, const std::string& content) {
  tf::Env* env = tf::Env::Default();
  const std::string what = "data file " + path + " cannot be written";
  throw_if_error(env->RecursivelyCreateDir(path.substr(0, path.rfind('/'))), what);
  const std::string temporary = path + ".tmp-" + std::to_string(env->NowNanos());
  auto status = tf::WriteStringToFile(env, temporary, content);
  if (status.ok()) status = env->RenameFile(temporary, path);
  if (!status.ok()) env->DeleteFile(temporary).IgnoreError();
  throw_if_error(status, what);
}

std::vector<FolderEntry> list_folder(const std::string& folder) {
  auto entries = is_remote(folder) ? list_remote(folder) : list_local(folder);
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return entries;
}

std::unique_ptr<tf::RandomAccessFile> open_random(const std::string& path) {
  std::unique_ptr<tf::RandomAccessFile> file;
  throw_if_error(tf::Env::Default()->NewRandomAccessFile(path, &file), "data file " + path + " cannot be opened");
  return file;
}

}  // namespace mox::data
