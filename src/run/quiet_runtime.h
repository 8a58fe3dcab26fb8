// TensorFlow's own log.
#pragma once

#include "moxing/export.h"

namespace mox {

// TensorFlow's notes are not for MoXing's users: errors come as exceptions. TF_CPP_MIN_LOG_LEVEL brings them back.
MOX_EXPORT void quiet_runtime();

}  // namespace mox
