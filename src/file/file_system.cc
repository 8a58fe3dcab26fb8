#include "file/file_system.h"

#include "file/local_file_system.h"
#include "file/s3_file_system.h"

namespace mox::file {

FileSystem& file_system(const Location& location) {
  // Never destroyed: background threads may still read at exit. parse_path lets no other scheme through.
  static auto* local = new LocalFileSystem;
  static auto* store = new S3FileSystem;
  if (location.is_local()) return *local;
  return *store;
}

Stat need_stat(const char* operation, const Location& location) {
  if (auto found = file_system(location).stat(location)) return *found;
  throw MoxFileNotExistsException(std::string(operation) + " '" + location.str() + "': no such file or folder");
}

}  // namespace mox::file
