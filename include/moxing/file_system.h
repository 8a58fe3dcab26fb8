// A kind of storage: what serves the paths of a scheme. A class on FileSystem, and register_file_system, bring
// scheme://… to mox::file, `mox file`, TensorFlow's readers and checkpoints, and Python. What it must do is told by the
// tests of testing/file_system_conformance.h.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "moxing/export.h"
#include "moxing/file.h"

namespace mox::file {

// A path: local, or scheme://bucket/key.
struct MOX_EXPORT Location {
  std::string scheme;  // "" for a local path
  std::string bucket;  // what stands between scheme:// and the next '/': a bucket, a host, a name, or ""
  std::string key;     // what comes after it, without that '/'; a trailing '/' is kept; "" for the root
  std::string path;    // local: as given, less a file:// prefix

  bool is_local() const { return scheme.empty(); }
  // Of other than local paths: nothing after the bucket.
  bool is_bucket() const { return !is_local() && key.empty(); }
  // The caller wrote a trailing '/': a folder is meant.
  bool names_folder() const;
  // As a user writes it.
  std::string str() const;
  // A copy that names `name` below this folder.
  Location child(std::string_view name) const;
  // The key (or the path) with exactly one trailing '/'; "" for the root of a bucket.
  std::string folder_prefix() const;
  // Without trailing '/'.
  Location as_file() const;
};

// What "r+b" and its like mean.
struct OpenMode {
  bool read = false;
  bool write = false;
  bool append = false;    // every write goes to the end
  bool truncate = false;  // start empty
  bool create = false;    // make the file when it is missing
  bool binary = false;
};

// An open file, in bytes. One thread at a time.
class MOX_EXPORT Stream {
 public:
  virtual ~Stream();
  // Up to `size` bytes; fewer only at the end of the file.
  virtual int64_t read(char* data, int64_t size) = 0;
  virtual void write(const char* data, int64_t size) = 0;
  // Returns the new position; whence is SEEK_SET, SEEK_CUR or SEEK_END.
  virtual int64_t seek(int64_t offset, int whence) = 0;
  virtual int64_t tell() const = 0;
  virtual int64_t size() = 0;
  // A stream that is read must be seekable to serve TensorFlow; one that is written need not. OsError(ESPIPE) of seek
  // and truncate where it is not.
  virtual bool seekable() const = 0;
  virtual void truncate(int64_t size) = 0;
  // How many bytes may be read ahead at most.
  virtual void set_read_ahead(int64_t /*bytes*/) {}
  // Makes what was written so far visible at the path.
  virtual void flush() = 0;
  // Flushes and frees; a second call does nothing. The destructor of a stream that was not closed drops what a
  // flush has not made visible yet, so that a broken-off write never shows.
  virtual void close() = 0;
};

// Called once a name, in byte order of the full names (a folder counts as "name/"); false stops the listing.
using EntryVisitor = std::function<bool(DirEntry&)>;

// Errors of all functions are those of file_error.h; texts begin with operation and path, "read 'mem://a/b': …". Called
// from many threads at once. Of a path "a/b" the folders need not exist: writing makes them, or has none.
class MOX_EXPORT FileSystem {
 public:
  virtual ~FileSystem();

  // nullopt when nothing is there. A location with a trailing '/' asks for the folder only.
  virtual std::optional<Stat> stat(const Location& location) = 0;
  // Names below a folder; false when there is no such folder. `entry.name` is relative to it, without trailing '/',
  // entry.path is folder + '/' + name. A folder that was made and is empty is listed; all levels when recursive.
  virtual bool list(const Location& folder, bool recursive, const EntryVisitor& visit) = 0;
  // MoxFileNotExistsException when it is missing and not to be made; OsError(EISDIR) for a folder, or a trailing '/'.
  virtual std::unique_ptr<Stream> open(const Location& location, const OpenMode& mode) = 0;
  // With parents: missing ones are made and an existing folder is fine; else OsError(ENOENT), OsError(EEXIST).
  virtual void make_folder(const Location& location, bool parents) = 0;
  // Silent when missing; never a folder.
  virtual void remove_file(const Location& location) = 0;
  // The folder and all below, of a bucket that too; silent when missing; links are removed, not followed.
  virtual void remove_folder(const Location& location) = 0;

  // Those below have a body, made of those above; a storage that can do better has its own.

  // The whole content into the memory that `allocate(size)` returns.
  virtual void read_to(const Location& location, const std::function<char*(int64_t)>& allocate);
  // Replaces the whole content: a reader sees the old or the new one.
  virtual void write(const Location& location, std::string_view data);
  // Adds to the end; creates the file when it is missing.
  virtual void append(const Location& location, std::string_view data);
  // A file in the place of what is at dst, or a folder to where nothing is; both are of this storage. False: this
  // storage cannot, and nothing was done; the caller then copies and removes.
  virtual bool rename(const Location& src, const Location& dst);
};

// From then on `scheme`://… is served by `storage`, which lives as long as the process. From any thread.
// InvalidArgumentError when the scheme is taken (it tells by whom), is no scheme (lower-case letters, digits, '+', '-')
// or `storage` is null.
MOX_EXPORT void register_file_system(const std::string& scheme, std::unique_ptr<FileSystem> storage);
// "s3", "obs", then the registered ones.
MOX_EXPORT std::vector<std::string> file_system_schemes();
// Calls `visit` for each scheme that there is, and for each that comes later when it is registered; `visit` registers
// none.
MOX_EXPORT void watch_file_systems(std::function<void(const std::string& scheme)> visit);

// Whether it is a path of a known scheme other than file://.
MOX_EXPORT bool is_remote(const std::string& path);

}  // namespace mox::file
