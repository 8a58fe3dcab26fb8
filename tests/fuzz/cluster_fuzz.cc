// TF_CONFIG as a cluster manager, or anybody, may set it: read or refused with a text, never a crash.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/tf_config.h"
#include "moxing/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  try {
    if (mox::cluster_from_tf_config(text).task_index < 0) std::abort();
  } catch (const mox::InvalidArgumentError& e) {
    const std::string what = e.what();
    if (what.find("TF_CONFIG") == std::string::npos || what.size() > 8192) std::abort();
  }
  return 0;
}
