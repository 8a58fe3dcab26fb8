// What a kind of storage has to offer; operations.cc, copy.cc and the streams are written against this only.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "file/path.h"
#include "file/stream.h"
#include "moxing/file.h"

namespace mox::file {

// Called once a name, in byte order of the full names (a folder counts as "name/"); false stops the listing.
using EntryVisitor = std::function<bool(DirEntry&)>;

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  // nullopt when nothing is there. A location with a trailing '/' asks for the folder only.
  virtual std::optional<Stat> stat(const Location& location) = 0;
  // Names below a folder; false when there is no such folder. `entry.name` is relative, without trailing '/'.
  virtual bool list(const Location& folder, bool recursive, const EntryVisitor& visit) = 0;

  virtual void read_to(const Location& location, const std::function<char*(int64_t)>& allocate) = 0;
  virtual void write(const Location& location, std::string_view data) = 0;
  virtual void append(const Location& location, std::string_view data) = 0;
  virtual std::unique_ptr<Stream> open(const Location& location, const OpenMode& mode) = 0;

  // With parents: missing ones are made and an existing folder is fine; else OsError(ENOENT), OsError(EEXIST).
  virtual void make_folder(const Location& location, bool parents) = 0;
  // Silent when missing; never a folder.
  virtual void remove_file(const Location& location) = 0;
  // The folder and all below; silent when missing; links are removed, not followed.
  virtual void remove_folder(const Location& location) = 0;
};

// The file system that serves the location's scheme.
FileSystem& file_system(const Location& location);

// As file_system(location).stat, but MoxFileNotExistsException naming `operation` when nothing is there.
Stat need_stat(const char* operation, const Location& location);

}  // namespace mox::file
