// When two files of the same name count as the same, and when a source may go after it was copied.
#pragma once

#include "file/path.h"
#include "moxing/file.h"

namespace mox::file {

enum class Listed { kSame, kDifferent, kUnknown };

// What sizes, times and ETags of listings tell: another size is different, an equal time or ETag is the same. Free.
// A time is equal when the copy took it over from the source; of what goes to a store no time is known here.
Listed compare_listed(const Location& src, const Stat& src_stat, const Location& dst, const Stat& dst_stat);

// For kUnknown: by checksum where the store has one, between local files by content; else by the time (or ETag) of the
// source that the store's copy notes. What cannot be told differs. Reads files and asks the store.
bool differs(const Location& src, const Stat& src_stat, const Location& dst, const Stat& dst_stat);

// For a move: throws unless dst is there with src's size (and checksum, where the store has one), and src is still what
// `st` says. A local dst is written to its disk.
void check_moved(const char* operation, const Location& src, const Stat& st, const Location& dst);

}  // namespace mox::file
