#include "moxing/mode_keys.h"

#include "moxing/error.h"

namespace mox {
namespace {

constexpr const char* kNames[] = {"TRAIN", "EVAL", "PREDICT", "EXPORT"};

}  // namespace

const char* to_string(ModeKeys mode) { return kNames[static_cast<int>(mode)]; }

ModeKeys parse_mode(const std::string& name) {
  for (int i = 0; i < 4; ++i)
    if (name == kNames[i]) return static_cast<ModeKeys>(i);
  throw InvalidArgumentError("run_mode '" + name + "' is not a mode; use TRAIN, EVAL or PREDICT");
}

}  // namespace mox
