// Flags of `mox train` that say how gradients become weights: optimizer, learning rate, schedule.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "command_line.h"
#include "moxing/learning_rate_scheduler.h"
#include "moxing/optimizer.h"

namespace mox::cli {

struct OptimizerFlags {
  std::string optimizer = "momentum", learning_rate_strategy = "10:0.01";
  // --learning_rate, --schedule, --warmup_epochs, …; num_epochs is the training's. learning_rate 0: the strategy
  // counts.
  learning_rate_scheduler::ScheduleOptions schedule;
  std::string decay_epochs;  // of the schedule piecewise, comma-separated
  float momentum = 0.9f, beta1 = 0.9f, beta2 = 0.999f, epsilon = 1e-8f;
  bool nesterov = false;
  OptimizerOptions options = {};  // take_optimizer_flags fills it
};

void add_optimizer_flags(CommandLine& app, OptimizerFlags* flags);
// After parse. `weight_decay`: of --weight_decay; an optimizer that decays the weights itself takes it away.
// InvalidArgumentError for flags that do not go together, and for those that the optimizer does not have.
void take_optimizer_flags(CommandLine& app, OptimizerFlags* flags, float* weight_decay);

// `num_epochs`: of the whole training; 0: it has no end. The strategy, also of a --schedule.
std::string strategy_of(const OptimizerFlags& flags, double num_epochs);
// Its optimizer at that strategy.
OptimizerFn optimizer_of(const OptimizerFlags& flags, const std::string& strategy, int64_t num_samples,
                         int64_t global_batch_size);
// For train.json.
nlohmann::ordered_json optimizer_json(const OptimizerFlags& flags, const std::string& strategy);

}  // namespace mox::cli
