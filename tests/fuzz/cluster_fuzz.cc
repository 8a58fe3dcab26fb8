// TF_CONFIG as a cluster manager, or anybody, may set it: read or refused with a text, never a crash.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/tf_config.h"
#include "moxing/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  for (const char* flag : {"job_name", "task_index", "ps_hosts", "worker_hosts"}) {
    try {
      const auto value = mox::value_in_cluster_text(text, flag);
      if (value && std::holds_alternative<int64_t>(*value) && std::get<int64_t>(*value) < 0) std::abort();
    } catch (const mox::InvalidArgumentError& e) {
      const std::string what = e.what();
      if (what.find("TF_CONFIG") == std::string::npos || what.size() > 8192) std::abort();
    }
  }
  return 0;
}
