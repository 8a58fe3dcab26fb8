// What a run does. EXPORT is used by MoXing when it builds model_fn for the exported model.
#pragma once

#include <string>

#include "moxing/export.h"

namespace mox {

enum class ModeKeys { TRAIN, EVAL, PREDICT, EXPORT };

// "TRAIN", "EVAL", "PREDICT", "EXPORT".
MOX_EXPORT const char* to_string(ModeKeys mode);
// The other way; InvalidArgumentError that lists the modes for another word.
MOX_EXPORT ModeKeys parse_mode(const std::string& name);

}  // namespace mox
