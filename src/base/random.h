// Random numbers that nobody can guess: tokens, and names that must be nobody else's.
#pragma once

#include <cstdint>
#include <string>

#include "moxing/export.h"

namespace mox {

// From the kernel. Error when it gives none.
MOX_EXPORT std::string random_bytes(size_t count);
MOX_EXPORT uint64_t random_number();

}  // namespace mox
