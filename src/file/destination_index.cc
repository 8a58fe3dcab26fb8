#include "file/destination_index.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "file/file_system.h"
#include "file/left_temporaries.h"
#include "file/local_file_system.h"
#include "file/s3_client.h"
#include "file/s3_listing.h"

namespace mox::file {
namespace {

void remove_empty_folder(const Location& folder) {
  bool is_empty = true;
  file_system(folder).list(folder, /*recursive=*/false, [&](DirEntry&) { return is_empty = false; });
  if (is_empty) file_system(folder).remove_folder(folder);
}

}  // namespace

void DestinationIndex::load() {
  const auto note = [this](DirEntry& entry) {
    if (entry.is_file())
      files_[entry.name] = entry.stat;
    else
      (S_ISLNK(entry.stat.mode) ? links_ : folders_).insert(entry.name);
    return true;
  };
  if (is_store(dst_)) {
    list_objects(dst_, /*recursive=*/true, note, /*markers_with_content=*/true);
    return;
  }
  if (!dst_.is_local()) {
    file_system(dst_).list(dst_, /*recursive=*/true, note);
    return;
  }
  LocalFileSystem().list_inside(dst_, [&](DirEntry& entry) {
    const size_t slash = entry.name.rfind('/');
    if (!is_temporary_name(std::string_view(entry.name).substr(slash == std::string::npos ? 0 : slash + 1)))
      return note(entry);
    temporaries_.push_back(entry.path);
    return true;
  });
  // Where nothing will be written, too.
  for (const std::string& path : temporaries_) remove_left_temporaries(path.substr(0, path.rfind('/') + 1), "");
}

std::optional<Stat> DestinationIndex::take_file(const std::string& name) {
  const auto found = files_.find(name);
  if (found != files_.end()) {
    const Stat there = found->second;
    files_.erase(found);
    return there;
  }
  for (const std::string& link : taken_links_) {
    if (name.size() <= link.size() || name.compare(0, link.size(), link) != 0 || name[link.size()] != '/') continue;
    const Location behind = dst_.child(name);
    const auto there = file_system(behind).stat(behind);
    if (there && !there->is_directory) return there;
  }
  return std::nullopt;
}

void DestinationIndex::take_folder(const std::string& name) {
  folders_.erase(name);
  if (links_.erase(name) > 0) taken_links_.insert(name);
}

bool DestinationIndex::blocks(const std::string& name, bool is_folder) const {
  if (is_folder ? files_.count(name) > 0 : folders_.count(name) + links_.count(name) > 0) return true;
  for (size_t slash = name.find('/'); slash != std::string::npos; slash = name.find('/', slash + 1))
    if (files_.count(name.substr(0, slash)) > 0) return true;
  return false;
}

int64_t DestinationIndex::remove_rest(const std::function<void(const Location&, std::exception_ptr)>& fail) {
  int64_t removed = 0;
  const auto attempt = [&](const std::string& name, const auto& work) {
    const Location extra = dst_.child(name);
    try {
      work(extra);
      return true;
    } catch (...) {
      fail(extra, std::current_exception());
      return false;
    }
  };
  const auto remove_file = [](const Location& extra) {
    if (is_store(extra))
      s3::remove_object("sync", extra);  // also one whose key ends with '/'
    else
      file_system(extra).remove_file(extra);
  };
  for (const auto& entry : files_) removed += attempt(entry.first, remove_file);
  for (const std::string& link : links_) removed += attempt(link, remove_file);
  for (const std::string& path : temporaries_) remove_left_part(path);
  // Those below come first.
  for (auto folder = folders_.rbegin(); folder != folders_.rend(); ++folder)
    attempt(*folder, [](const Location& extra) {
      if (is_store(extra))
        s3::remove_object("sync", extra.child(""));
      else if (!extra.is_local())
        remove_empty_folder(extra);
      else if (::rmdir(extra.path.c_str()) != 0 && errno != ENOENT && errno != ENOTEMPTY && errno != EEXIST)
        throw_errno("sync", extra.path, errno);
    });
  files_.clear();
  folders_.clear();
  links_.clear();
  return removed;
}

}  // namespace mox::file
