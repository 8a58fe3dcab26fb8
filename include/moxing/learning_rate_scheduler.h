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
  enum Kind { kConstant, kLinear, kExponential, kCosine };
  double start_epoch = 0;
  double end_epoch = 0;
  double start_value = 0;  // at start_epoch
  double end_value = 0;    // at end_epoch
  Kind kind = kConstant;
};

// Reads "5:0.1->0.4,10:0.4=>0.8,15:0.8,20:0.08": entries END_EPOCH:VALUE in rising order, `a->b` linear, `a=>b`
// exponential, `a~>b` half a cosine from the previous end to this one. InvalidArgumentError that points at the
// character otherwise.
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

// The usual schedules by their names, as strategies.
struct ScheduleOptions {
  // constant; cosine (Loshchilov and Hutter 2016, without restarts), linear or exponential down to the end; piecewise:
  // times decay_factor at each of decay_epochs (He et al. 2016).
  std::string schedule = "constant";
  double learning_rate = 0;            // the highest: needed
  double num_epochs = 0;               // of the whole training, may be a fraction; needed but by constant
  double warmup_epochs = 0;            // in a line from 0 to learning_rate (Goyal et al. 2017)
  double end_learning_rate = -1;       // at num_epochs; -1: 0, of exponential a hundredth of learning_rate
  std::vector<double> decay_epochs{};  // piecewise, rising; empty: a third, two thirds and eight ninths of num_epochs
  double decay_factor = 0.1;           // piecewise
};
// The strategy for piecewise_lr: {.schedule = "cosine", .learning_rate = 0.1, .num_epochs = 90, .warmup_epochs = 5} is
// "5:0->0.1,90:0.1~>0". InvalidArgumentError, with field and value, for what cannot be one.
MOX_EXPORT std::string schedule_strategy(const ScheduleOptions& options);
// The names of ScheduleOptions::schedule.
MOX_EXPORT std::vector<std::string> schedule_names();

// The schedules below count steps. Each has its value at a step, its graph and its form for get_optimizer_fn.
// `global_step`: an integer scalar to follow instead of the run's global step, for the graph form. Each throws
// InvalidArgumentError, with schedule, field and value, for rates that are negative or no numbers and for steps
// below 1.

// TensorFlow's linear_cosine_decay (Bello et al. 2017): a cosine under a line, to (nearly) 0 at decay_steps.
struct LinearCosineDecay {
  double learning_rate = 0;  // at step 0, before the cosine: needed
  int64_t decay_steps = 0;   // needed
  double num_periods = 0.5;  // of the cosine
  double alpha = 0.0;        // added to the line
  double beta = 0.001;       // what is left at the end, of learning_rate
  tensorflow::Output global_step = {};
};
// The rate at a step.
MOX_EXPORT double linear_cosine_decay_at(const LinearCosineDecay& options, double step);
// The rate at the current step, a float scalar; the second form is for get_optimizer_fn, before there is a graph.
MOX_EXPORT tensorflow::Output linear_cosine_decay(const Scope& scope, const LinearCosineDecay& options);
MOX_EXPORT LearningRate linear_cosine_decay(const LinearCosineDecay& options);

// From min_lr in a line to max_lr over the warm-up, then min_lr + (max_lr - min_lr) * (1 - t)^power with t from 0 to 1
// until decay_end, then min_lr until max_step and after.
struct PolynomialDecay {
  double max_lr = 0;  // needed
  double min_lr = 0;
  int64_t max_step = 0;  // of the whole training: needed
  double warmup = 0;     // steps; below 1: the part of max_step
  double decay_end = 1;  // step; up to 1: the part of max_step
  double power = 1;
  tensorflow::Output global_step = {};
};
// The rate at a step.
MOX_EXPORT double polynomial_decay_at(const PolynomialDecay& options, double step);
// The rate at the current step, a float scalar; the second form is for get_optimizer_fn, before there is a graph.
MOX_EXPORT tensorflow::Output polynomial_decay(const Scope& scope, const PolynomialDecay& options);
MOX_EXPORT LearningRate polynomial_decay(const PolynomialDecay& options);

// From warmup_lr in a line to max_lr over the warm-up, then half a cosine down to min_lr at max_step, and min_lr after
// (Loshchilov and Hutter 2016, without restarts).
struct CosineDecay {
  double max_lr = 0;  // needed
  double min_lr = 0;
  int64_t max_step = 0;  // of the whole training: needed
  double warmup = 0;     // steps; below 1: the part of max_step
  double warmup_lr = 0;  // at step 0, with a warm-up
  tensorflow::Output global_step = {};
};
// The rate at a step.
MOX_EXPORT double cosine_decay_at(const CosineDecay& options, double step);
// The rate at the current step, a float scalar; the second form is for get_optimizer_fn, before there is a graph.
MOX_EXPORT tensorflow::Output cosine_decay(const Scope& scope, const CosineDecay& options);
MOX_EXPORT LearningRate cosine_decay(const CosineDecay& options);

}  // namespace mox::learning_rate_scheduler
