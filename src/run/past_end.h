// What ended: the run's input (see EngineSession for the step itself), or something else, which is an error.
#pragma once

#include "moxing/hooks.h"

namespace mox {

// The run's own input, or that of inter_mode, ended in what a hook runs. Uncaught it ends the run; any other
// OutOfRangeError that comes out of a hook is an error.
class MOX_EXPORT InputEndedInHook : public OutOfRangeError {
 public:
  explicit InputEndedInHook(const std::string& message) : OutOfRangeError(message) {}
  ~InputEndedInHook() override;
};

// In a step, something else ended (an iterator that model_fn made, a file, a queue): an error like any other.
class PastEndOfOther : public RunError {
 public:
  using RunError::RunError;
};

// The same in what a hook runs: it may wait for this, as with any session.
class MOX_EXPORT PastEndInHook : public OutOfRangeError {
 public:
  explicit PastEndInHook(const std::string& message) : OutOfRangeError(message) {}
  ~PastEndInHook() override;
};

}  // namespace mox
