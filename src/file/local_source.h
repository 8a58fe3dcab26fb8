// A local file that is copied: what it was when the copy began, and whether it still is.
#pragma once

#include <string>

#include "file/local_file_system.h"

namespace mox::file {

struct LocalSource {
  explicit LocalSource(const std::string& path);
  // Throws MoxFileReadException that tells both sizes when the file was written to since: what was read is torn.
  void check_unchanged() const;

  std::string path;
  Descriptor file;
  int64_t size = 0;  // 0, too, for files of /proc, which tell none
  int64_t mtime_nsec = 0;
  bool is_regular = false;
};

}  // namespace mox::file
