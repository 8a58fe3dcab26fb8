// CMakeLists.txt reads the version from here.
#pragma once

#include "moxing/export.h"

// Of these headers; what is compiled with them fits a library of the same version.
#define MOXING_VERSION "0.2.0"

namespace mox {

// "0.2.0": the version of the library that is loaded.
MOX_EXPORT const char* version();
// "2.21.0": the TensorFlow that the library is built for. The engine runs on releases with the same first two numbers.
MOX_EXPORT const char* tensorflow_version();

}  // namespace mox
