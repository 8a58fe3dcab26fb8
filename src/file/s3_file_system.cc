#include "file/s3_file_system.h"

#include <sys/stat.h>

#include <cerrno>

#include "file/config.h"
#include "file/s3_assembler.h"
#include "file/s3_listing.h"
#include "file/s3_streams.h"
#include "file/s3_transfer.h"

namespace mox::file {
namespace {

Stat folder_stat() {
  Stat result;
  result.is_directory = true;
  result.mode = S_IFDIR | 0755;
  return result;
}

Stat object_stat(const s3::ObjectInfo& info) {
  Stat result;
  result.length = info.size;
  result.mtime_nsec = info.mtime_nsec;
  result.mode = S_IFREG | 0644;
  result.etag = info.etag;
  return result;
}

// The object's name for an operation on a file; it must outlive the call.
const Location& need_key(const char* operation, Location&& location) = delete;
const Location& need_key(const char* operation, const Location& location) {
  if (location.is_bucket() || location.names_folder())
    throw OsError(EISDIR, std::string(operation) + " '" + location.str() + "': this names a folder, not a file");
  return location;
}

}  // namespace

std::optional<Stat> S3FileSystem::stat(const Location& location) {
  if (location.is_bucket()) {
    if (s3::bucket_exists("stat", location)) return folder_stat();
    return std::nullopt;
  }
  if (!location.names_folder())
    if (const auto info = s3::head("stat", location)) return object_stat(*info);
  if (any_object_below(location)) return folder_stat();
  return std::nullopt;
}

bool S3FileSystem::list(const Location& folder, bool recursive, const EntryVisitor& visit) {
  return list_objects(folder, recursive, visit);
}

void S3FileSystem::read_to(const Location& location, const std::function<char*(int64_t)>& allocate) {
  read_object("read", need_key("read", location), allocate);
}

void S3FileSystem::write(const Location& location, std::string_view data) {
  upload_body("write", need_key("write", location), body_of(data));
}

void S3FileSystem::append(const Location& location, std::string_view data) {
  need_key("append", location);
  const auto there = s3::head_checked("append", location);
  if (current_config()->is_obs) {
    // Only objects that were made by append can be appended to.
    if (s3::append_at("append", location, there ? there->size : 0, body_of(data))) return;
  }
  S3Assembler assembler("append", location);
  if (there) assembler.add_whole(location, *there);
  assembler.add_bytes(data.data(), static_cast<int64_t>(data.size()));
  assembler.finish();
}

void append_object(const Location& src, const Location& dst) {
  const auto from = s3::head_checked("append_remote", src);
  if (!from) throw MoxFileNotExistsException("append_remote '" + src.str() + "': no such file");
  const auto there = s3::head_checked("append_remote", dst);
  S3Assembler assembler("append_remote", dst);
  if (there) assembler.add_whole(dst, *there);
  assembler.add_whole(src, *from);
  assembler.finish();
}

std::unique_ptr<Stream> S3FileSystem::open(const Location& location, const OpenMode& mode) {
  need_key("open", location);
  if (mode.read && mode.write) return std::make_unique<S3SpoolStream>(location, mode);
  if (mode.write) return std::make_unique<S3WriteStream>(location, mode.append);
  return std::make_unique<S3ReadStream>(location);
}

void S3FileSystem::make_folder(const Location& location, bool parents) {
  const char* operation = parents ? "make_dirs" : "mk_dir";
  if (location.is_bucket()) {
    if (!s3::bucket_exists(operation, location)) {
      s3::create_bucket(operation, location);
    } else if (!parents) {
      throw OsError(EEXIST, "mk_dir '" + location.str() + "': this bucket is there already");
    }
    return;
  }
  Location marker = location;
  marker.key = location.folder_prefix();
  const bool there = any_object_below(marker);
  if (!parents) {
    if (there) throw OsError(EEXIST, "mk_dir '" + location.str() + "': this folder is there already");
    const Location parent = parent_of(location);
    if (parent.is_bucket() ? !s3::bucket_exists(operation, parent) : !any_object_below(parent))
      throw OsError(ENOENT, "mk_dir '" + location.str() + "': the parent folder '" + parent.str() +
                                "' does not exist; make_dirs makes parents too");
  }
  if (!there) s3::put(operation, marker, body_of(""));
}

void S3FileSystem::remove_file(const Location& location) {
  if (location.is_bucket() || location.names_folder()) return;
  s3::remove_object("remove", location);
}

void S3FileSystem::remove_folder(const Location& location) {
  remove_objects_below(location);
  if (location.is_bucket()) s3::remove_bucket("remove", location);
}

}  // namespace mox::file
