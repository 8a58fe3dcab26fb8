// A session whose calls can be broken off from another thread: on several processes a call does not return when one of
// them is cut off, and TensorFlow cannot cancel it.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/mutex.h"
#include "moxing/export.h"
#include "tensorflow/core/public/session.h"

namespace mox {

class MOX_EXPORT SessionBreaker {
 public:
  // All calls under way and to come return with an ABORTED `why`, until clear(). What they had begun may go on in a
  // thread that nobody waits for: what it still changes must not matter.
  void break_off(const std::string& why);
  void clear();
  bool is_broken() const;

 private:
  friend class BreakableSession;
  mutable Mutex mutex_;
  CondVar changed_;
  std::optional<std::string> why_ MOX_GUARDED_BY(mutex_);
};

// `breaker` must outlive the calls, not what they left behind.
std::unique_ptr<tensorflow::Session> make_breakable(std::unique_ptr<tensorflow::Session> session,
                                                    std::shared_ptr<SessionBreaker> breaker);

}  // namespace mox
