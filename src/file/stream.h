// An open file of any kind; the interface is public.
#pragma once

#include "moxing/file_system.h"

namespace mox::file {

// "r", "w", "a", "r+", "w+", "a+" with "b" or "t" in any place; InvalidArgumentError that lists them otherwise.
OpenMode parse_mode(const std::string& mode);

}  // namespace mox::file
