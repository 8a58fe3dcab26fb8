// What copies and moves share.
#pragma once

#include "file/path.h"
#include "moxing/file.h"

namespace mox::file {

// One file; `dst` is its name there.
CopySummary copy_one(const Location& src, const Stat& st, const Location& dst, const CopyOptions& options);

// "dst/" and an existing local folder mean: into it.
Location file_target(const Location& src, const Location& dst);

// InvalidArgumentError when the destination is the source folder or lies inside of it, also by links.
void check_not_inside(const char* title, const Location& src, const Location& dst);

}  // namespace mox::file
