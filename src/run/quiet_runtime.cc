#include "run/quiet_runtime.h"

#include <cstdlib>

#include "absl/log/globals.h"

namespace mox {

void quiet_runtime() {
  if (!std::getenv("TF_CPP_MIN_LOG_LEVEL")) absl::SetMinLogLevel(absl::LogSeverityAtLeast::kError);
}

}  // namespace mox
