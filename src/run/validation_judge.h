// What validations mean for a training: the best so far, early stopping, plateaus of the learning rate.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "moxing/export.h"

namespace mox {

// Early stopping as Prechelt, "Early Stopping - But When?" (1998), has it with a patience; the learning rate at a
// plateau as in He et al., "Deep Residual Learning" (2015), section 3.4: divided where the error does not fall any
// more.
class MOX_EXPORT ValidationJudge {
 public:
  struct Options {
    std::string metric;            // for messages, and which state is this judge's
    std::string mode = "auto";     // which way is better, see metric_mode.h
    int64_t stop_patience = 0;     // validations without gain; 0: never stops
    int64_t plateau_patience = 0;  // likewise; 0: no plateaus
  };
  struct Verdict {
    bool best = false;     // better than all before
    bool plateau = false;  // the learning rate is to be multiplied
    bool stop = false;     // the training is to end
  };
  static constexpr int kStateSize = 7;

  explicit ValidationJudge(Options options);

  // A value that is no number is no gain.
  Verdict judge(double value, int64_t global_step);
  // Patience is used up: by the last judgement, or one that was restored, with the patience that there is now.
  bool stopped() const;
  const std::optional<double>& best() const { return best_; }
  int64_t best_step() const { return best_step_; }
  bool less_is_better() const { return sign_ < 0; }
  const std::string& metric() const { return options_.metric; }
  // "best accuracy: 0.871 (step 1200), without gain: 2 of 5".
  std::string text() const;

  // kStateSize numbers, for checkpoints. Those of another metric are not taken.
  std::vector<double> state() const;
  void restore(const std::vector<double>& state);

 private:
  double id() const;

  const Options options_;
  const double sign_;  // -1: less is better
  std::optional<double> best_;
  int64_t best_step_ = 0, without_gain_ = 0, on_plateau_ = 0, plateaus_ = 0;
};

}  // namespace mox
