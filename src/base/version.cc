#include "moxing/version.h"

namespace mox {

const char* version() { return MOXING_VERSION; }
const char* tensorflow_version() { return MOX_TENSORFLOW; }

}  // namespace mox
