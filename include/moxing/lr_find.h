// Which learning rate a training should have: the learning rate range test (Smith 2015).
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "moxing/export.h"
#include "moxing/optimizer.h"
#include "moxing/run.h"

namespace mox {

struct LrFindOptions {
  double lowest = 1e-6, highest = 10;  // learning rates of the first and the last step
  int64_t steps = 100;                 // 10 to 10000
};

struct LrFindPoint {
  double learning_rate;
  double loss;      // of the step, the mean over the devices
  double smoothed;  // the moving mean (0.9 of what was before), without its bias towards 0
};

struct LrFindResult {
  std::vector<LrFindPoint> points;
  double suggestion = 0;  // 0: the loss fell nowhere
};

// Trains with rates that rise from `lowest` to `highest` by the same factor a step, until the smoothed loss is four
// times its least or no number any more. Nothing is saved: log_dir and the options of checkpoints are left aside; a
// checkpoint to start from is heeded. `make_optimizer`: what makes the training's optimizer_fn with a rate;
// options.optimizer_fn is not used. Errors as run's; InvalidArgumentError for numbers out of range, and with several
// processes or losses.
MOX_EXPORT LrFindResult lr_find(const RunOptions& options,
                                const std::function<OptimizerFn(const LearningRate& rate)>& make_optimizer,
                                const LrFindOptions& find = {});

// The smoothed losses, and the rate in the middle of where they fall longest, before they are least. What lr_find
// tells, from rates and losses of each step; `losses` ends with the first that is no number.
MOX_EXPORT LrFindResult judge_learning_rates(const std::vector<double>& rates, const std::vector<double>& losses);

}  // namespace mox
