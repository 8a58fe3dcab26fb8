// What the file layer throws, as TensorFlow's statuses. The text has operation, path and reason already.
#pragma once

#include <exception>

#include "absl/status/status.h"
#include "base/thread_annotations.h"

namespace mox::tf_files {

// The status of the exception that is being handled.
absl::Status status_of_exception();

// Calls it with the locks that its caller holds, which the analysis does not see here.
template <typename Call>
absl::Status status_of(Call&& call) MOX_NO_THREAD_SAFETY_ANALYSIS {
  try {
    call();
    return absl::OkStatus();
  } catch (...) {
    return status_of_exception();
  }
}

}  // namespace mox::tf_files
