// Which storage serves a path: operations, copies of folders and open files reach it through FileSystem. How bytes go
// from one kind to another is not in here (transfer.h).
#pragma once

#include "file/path.h"
#include "file/stream.h"
#include "moxing/file_system.h"

namespace mox::file {

// The file system that serves the location's scheme, which parse_path knew.
FileSystem& file_system(const Location& location);

// As file_system(location).stat, but MoxFileNotExistsException naming `operation` when nothing is there.
Stat need_stat(const char* operation, const Location& location);

}  // namespace mox::file
