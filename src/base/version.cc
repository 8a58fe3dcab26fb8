#include "moxing/version.h"

namespace mox {

const char* version() { return MOXING_VERSION; }

}  // namespace mox
