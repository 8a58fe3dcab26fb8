#include "file/file_system.h"

#include "file/local_file_system.h"

namespace mox::file {

FileSystem& file_system(const Location& location) {
  static auto* local = new LocalFileSystem;  // never destroyed: background threads may still read at exit
  return *local;
}

Stat need_stat(const char* operation, const Location& location) {
  if (auto found = file_system(location).stat(location)) return *found;
  throw MoxFileNotExistsException(std::string(operation) + " '" + location.str() + "': no such file or folder");
}

}  // namespace mox::file
