// Copies on the local disk.
#pragma once

#include <cstdint>
#include <string>

namespace mox::file {

// One file, atomic at the destination; returns its bytes. The kernel moves the data where it can. With keep_time the
// copy has the source's time (settled_time), so that sync sees at once that both are the same.
int64_t copy_local_file(const std::string& src, const std::string& dst, bool keep_time);

// A time that a later change cannot have again: clocks of stores tell whole seconds, and a disk's some milliseconds, so
// of a time of this very moment one second is taken off.
int64_t settled_time(int64_t mtime_nsec);

}  // namespace mox::file
