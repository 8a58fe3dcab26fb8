#include "moxing/version.h"

namespace mox {

const char* version() { return MOX_VERSION; }

}  // namespace mox
