// Where the tensors of a process lie (host_memory.cc).
#pragma once

#include "moxing/export.h"

namespace mox {

// Gives pages that no tensor lies in back to the system, beside who takes and frees tensors. The next tensor there
// begins with new pages. Nothing where tensors lie elsewhere.
MOX_EXPORT void release_free_host_memory();

}  // namespace mox
