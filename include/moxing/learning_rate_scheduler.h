// Learning rates that change with the global step.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "moxing/export.h"
#include "moxing/optimizer.h"
#include "moxing/scope.h"

namespace mox::learning_rate_scheduler {

// One entry of a strategy: the rate over [start_epoch, end_epoch).
struct LrPiece {
  enum Kind { kConstant, kLinear, kExponential };
  double start_epoch = 0;
  double end_epoch = 0;
  double start_value = 0;  // at start_epoch
  double end_value = 0;    // at end_epoch
  Kind kind = kConstant;
};

// Reads "5:0.1->0.4,10:0.4=>0.8,15:0.8,20:0.08": entries END_EPOCH:VALUE in rising order, `a->b` linear, `a=>b`
// exponential from the previous end to this one. InvalidArgumentError that points at the character otherwise.
MOX_EXPORT std::vector<LrPiece> parse_lr_strategy(const std::string& strategy);
// The rate at `epoch` (a fraction is a part of an epoch); the last value holds after the end.
MOX_EXPORT double piecewise_lr_at(const std::vector<LrPiece>& pieces, double epoch);
// ceil(num_samples / global_batch_size); InvalidArgumentError unless both are positive.
MOX_EXPORT int64_t steps_per_epoch(int64_t num_samples, int64_t global_batch_size);

// The strategy's rate at the current global step. global_batch_size = batch_size * num_gpus * workers.
MOX_EXPORT tensorflow::Output piecewise_lr(const Scope& scope, const std::string& strategy, int64_t num_samples,
                                           int64_t global_batch_size);
// The same for get_optimizer_fn, before there is a graph. The strategy is checked at once.
MOX_EXPORT LearningRate piecewise_lr(const std::string& strategy, int64_t num_samples, int64_t global_batch_size);

}  // namespace mox::learning_rate_scheduler
