// Copies on the local disk.
#pragma once

#include <string>

namespace mox::file {

// One file, atomic at the destination; returns its bytes. The kernel moves the data where it can.
int64_t copy_local_file(const std::string& src, const std::string& dst);

}  // namespace mox::file
