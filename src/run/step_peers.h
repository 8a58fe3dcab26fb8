// The other processes that do each step together with this one, as the loop over steps sees them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "run/step_observer.h"

namespace mox {

// Another process has no more steps: this one's run ends here, too, as if its own input had ended.
struct PeersInputEnded {
  std::string why;
};

class MOX_EXPORT StepPeers {
 public:
  virtual ~StepPeers();

  // This process is to stop: by a signal (kInterrupted), or because an observer asked for it (kFinished). It goes on
  // until all know of it, and all stop after the same step.
  virtual void ask_to_stop(Ending::How how) = 0;
  // All have agreed to stop before the coming step, and how.
  virtual std::optional<Ending::How> agreed_end() const = 0;
  // A step failed. False: for a reason of this process's own. True: another process was lost; the state is whole again,
  // and `number` says where it stands; the local one is below 0 where more was lost than this process has done since it
  // was started. PeersInputEnded; or what makes an end of the run: variables are as before the
  // step.
  virtual bool recover(StepNumber* number) = 0;
  // This process has no more steps. What it keeps of the state is what there is when this returns; `number` says where
  // that stands. False: another process was lost, and steps with it; then as after recover().
  virtual bool before_end(StepNumber* number) { return true; }
  // What comes after the last step failed. As recover().
  virtual bool recover_at_end(StepNumber* number) { return false; }
  // What this process measured, in the order of the graph's variants; all call it before the same step. What counts for
  // all, the same at each; nullopt: not known yet, ask again before the next step. RunError as in a step.
  virtual std::optional<std::vector<double>> share_times(const std::vector<double>& mine) { return mine; }
  // Whether the step under way waits for another process: nullopt when not, else for whom, "" where that is not known.
  // From any thread.
  virtual std::optional<std::string> waits_for() const = 0;
};

}  // namespace mox
