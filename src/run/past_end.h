// The end of something that is not the run's input: an iterator that model_fn made, a file, a queue.
#pragma once

#include "moxing/hooks.h"

namespace mox {

// In a step: an error like any other.
class PastEndOfOther : public RunError {
 public:
  using RunError::RunError;
};

// In what a hook runs: it may wait for this, as with any session. Uncaught it is an error, not the end of the run.
class MOX_EXPORT PastEndInHook : public OutOfRangeError {
 public:
  explicit PastEndInHook(const std::string& message) : OutOfRangeError(message) {}
  ~PastEndInHook() override;
};

}  // namespace mox
