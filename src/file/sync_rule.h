// When two files of the same name count as the same.
#pragma once

#include "file/path.h"
#include "moxing/file.h"

namespace mox::file {

// By size, then by time; when the times are too close to tell, by checksum.
bool differs(const Location& src, const Stat& src_stat, const Location& dst, const Stat& dst_stat);

}  // namespace mox::file
