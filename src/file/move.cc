// rename: within a disk by the kernel, elsewhere a copy after which the source goes, file by file.
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "file/copy_one.h"
#include "file/file_system.h"
#include "file/folder_copy.h"
#include "file/left_temporaries.h"
#include "file/local_file_system.h"
#include "file/path_guard.h"
#include "file/s3_listing.h"
#include "file/sync_rule.h"
#include "moxing/error.h"

namespace mox::file {
namespace {

constexpr int kThreadsOfOneFile = 16;

// Removes of a local folder what was moved, links themselves, and folders that are empty then; returns what stayed.
class SourceRemoval {
 public:
  explicit SourceRemoval(const MovedFiles& moved) : moved_(moved) {}

  int64_t run(const std::string& folder, const std::string& prefix) {
    remove_left_temporaries(folder + "/", "");
    for (const auto& [name, is_folder] : names_in(folder)) {
      const std::string path = folder + "/" + name;
      if (is_folder)
        run(path, prefix + name + "/");
      else
        remove(path, prefix + name);
    }
    // A file that came meanwhile keeps its folder.
    if (::rmdir(folder.c_str()) != 0 && errno != ENOTEMPTY && errno != EEXIST && errno != ENOENT)
      throw_errno("rename", folder, errno);
    return stayed_;
  }

 private:
  static std::vector<std::pair<std::string, bool>> names_in(const std::string& folder) {
    std::vector<std::pair<std::string, bool>> names;
    LocalFileSystem().list({"", "", "", folder}, /*recursive=*/false, [&](DirEntry& entry) {
      names.emplace_back(entry.name, entry.is_dir() && !is_link(entry.path));
      return true;
    });
    return names;
  }

  void remove(const std::string& path, const std::string& name) {
    const auto st = LocalFileSystem().stat({"", "", "", path});
    // A link to a folder: what is behind it was copied, and stays there.
    const bool moved = st && ((st->is_directory && is_link(path)) || moved_.has(name, *st));
    if (!moved)
      ++stayed_;
    else if (::unlink(path.c_str()) != 0 && errno != ENOENT)
      throw_errno("rename", path, errno);
  }

  const MovedFiles& moved_;
  int64_t stayed_ = 0;
};

// The same of a storage that is known by its interface alone.
int64_t remove_moved(const Location& folder, const MovedFiles& moved) {
  FileSystem& fs = file_system(folder);
  std::vector<std::string> gone;
  fs.list(folder, /*recursive=*/true, [&](DirEntry& entry) {
    if (entry.is_file() && moved.has(entry.name, entry.stat)) gone.push_back(entry.name);
    return true;
  });
  for (const std::string& name : gone) fs.remove_file(folder.child(name));
  int64_t stayed = 0;
  fs.list(folder, /*recursive=*/true, [&](DirEntry& entry) {
    stayed += entry.is_file();
    return true;
  });
  if (stayed == 0) fs.remove_folder(folder);
  return stayed;
}

void move_folder(const Location& src, const Location& dst) {
  check_not_inside("rename", src, dst);
  if (lies_inside(src, dst) && !src.is_local())
    throw InvalidArgumentError("rename '" + src.str() + "' to '" + dst.str() +
                               "': the source lies inside of the destination: a file could take another one's place "
                               "before that was moved; copy it to another folder first");
  MovedFiles moved;
  FolderCopy copy(src, dst, {}, "rename", &moved);
  const CopySummary summary = copy.run();
  if (!summary.failed.empty()) copy.throw_failures(summary);
  int64_t stayed = 0;
  if (src.is_local()) {
    const std::string path = src.as_file().path;
    if (is_link(path))
      file_system(src).remove_file(src.as_file());
    else
      stayed = SourceRemoval(moved).run(path, "");
  } else if (!is_store(src)) {
    stayed = remove_moved(src, moved);
  } else {
    stayed = remove_objects_below(src, [&](const DirEntry& entry) {
      const bool marker = entry.stat.length == 0 && (entry.name.empty() || entry.name.back() == '/');
      return marker || moved.has(entry.name, entry.stat);
    });
  }
  if (stayed == 0) return;
  throw DataError("rename '" + src.str() + "' to '" + dst.str() + "': " + std::to_string(stayed) +
                  " files came to the source, or changed there, while it was moved: they were left there, the others "
                  "are moved; run the same once more");
}

void move_file(const Location& src, const Stat& st, const Location& dst) {
  const Location target = file_target(src, dst.as_file());
  CopyOptions options;
  options.threads = kThreadsOfOneFile;
  copy_one(src, st, target, options);
  check_moved("rename", src, st, target);
  file_system(src).remove_file(src);
}

}  // namespace

void rename(const std::string& src_url, const std::string& dst_url, bool bucket) {
  const Location src = parse_path(src_url), dst = parse_path(dst_url);
  const Stat st = need_stat("rename", src);
  const auto there = is_store(dst) ? std::nullopt : file_system(dst).stat(dst);
  if (st.is_directory) refuse_protected("rename", src, bucket, /*through_link=*/false);
  if (st.is_directory || (dst.is_local() && there && there->is_directory))
    refuse_protected("rename", dst, bucket, /*through_link=*/true);
  if (src.is_local() && dst.is_local()) {
    if (::rename(src.path.c_str(), dst.path.c_str()) == 0) return;
    if (errno != EXDEV) throw_errno("rename", src.path + "' to '" + dst.path, errno);
  }
  if (is_same_place(src, dst)) {
    if (!src.is_local()) return;
    throw InvalidArgumentError("rename '" + src.str() + "' to '" + dst.str() + "': both are the same file");
  }
  if (!src.is_local() && is_same_storage(src, dst) && !(st.is_directory && (there || lies_inside(dst, src)))) {
    const Location target = st.is_directory ? dst.as_file() : file_target(src, dst.as_file());
    if (file_system(src).rename(src.as_file(), target)) return;
  }
  if (st.is_directory)
    move_folder(src, dst);
  else
    move_file(src, st, dst);
}

}  // namespace mox::file
