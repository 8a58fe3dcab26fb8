// What the file layer throws, as TensorFlow's statuses. The text has operation, path and reason already.
#pragma once

#include <exception>

#include "absl/status/status.h"

namespace mox::tf_files {

// The status of the exception that is being handled.
absl::Status status_of_exception();

template <typename Call>
absl::Status status_of(Call&& call) {
  try {
    call();
    return absl::OkStatus();
  } catch (...) {
    return status_of_exception();
  }
}

}  // namespace mox::tf_files
