#include "engine/optimizer_flags.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/registry.h"
#include "engine/number_list.h"
#include "moxing/error.h"

namespace mox::cli {
namespace {

// A flag and the option of the optimizer that it sets.
struct OptionFlag {
  const char *flag, *option;
};

constexpr OptionFlag kOptionFlags[] = {{"--momentum", "momentum"},
                                       {"--nesterov", "use_nesterov"},
                                       {"--beta1", "beta1"},
                                       {"--beta2", "beta2"},
                                       {"--epsilon", "epsilon"}};
// What belongs to --schedule.
constexpr const char* kScheduleFlags[] = {"--schedule", "--warmup_epochs", "--end_learning_rate", "--decay_epochs",
                                          "--decay_factor"};
// Biases and the parameters of normalisation stay (You et al. 2019, and what everybody does).
const std::vector<std::string> kNotDecayed = {"(^|/)(biases|bias|beta|gamma)$"};

bool reads(const std::string& optimizer, const std::string& option) {
  const std::vector<std::string> names = optimizer_option_names(optimizer);
  return std::find(names.begin(), names.end(), option) != names.end();
}

std::string optimizers_with(const std::string& option) {
  std::vector<std::string> found;
  for (const std::string& name : optimizer_names())
    if (reads(name, option)) found.push_back(name);
  return listed(found);
}

void check_options(CommandLine& app, const std::string& optimizer) {
  for (const OptionFlag& f : kOptionFlags)
    if (app.get(f.flag).given() && !reads(optimizer, f.option))
      throw InvalidArgumentError(fmt::format("{} is given, but the optimizer {} has no such option; it is for {}",
                                             f.flag, optimizer, optimizers_with(f.option)));
}

void check_rate(CommandLine& app) {
  if (app.get("--learning_rate").given()) {
    if (app.get("--learning_rate_strategy").given())
      throw InvalidArgumentError(
          "--learning_rate and --learning_rate_strategy are both given: leave one out; a strategy says all by itself, "
          "--learning_rate goes with --schedule and --warmup_epochs");
    return;
  }
  for (const char* flag : kScheduleFlags)
    if (app.get(flag).given())
      throw InvalidArgumentError(
          fmt::format("{} is given without --learning_rate, the highest rate of the schedule: give that, too", flag));
}

}  // namespace

void add_optimizer_flags(CommandLine& app, OptimizerFlags* f) {
  app.option("--optimizer", f->optimizer, "sgd, momentum, adam, …").show_default();
  app.number("--momentum", f->momentum, {0, 1}, "of the optimizers momentum (default 0.9) and rmsprop (0.9)");
  app.flag("--nesterov", f->nesterov, "of momentum: look ahead");
  app.number("--beta1", f->beta1, {0, 1}, "of adam, adamw, lamb: decay of the first moment; default 0.9");
  app.number("--beta2", f->beta2, {0, 1}, "of adam, adamw, lamb: decay of the second moment; default 0.999");
  app.number("--epsilon", f->epsilon, {0, 1e6}, "of adam and the like, adadelta, rmsprop; default: the optimizer's");
  app.option("--learning_rate_strategy", f->learning_rate_strategy,
             "END_EPOCH:RATE,…; a->b linear, a=>b exponential, a~>b half a cosine")
      .show_default();
  auto& schedule = f->schedule;
  app.number("--learning_rate", schedule.learning_rate, {1e-30, 1e30},
             "in place of a strategy: the highest rate of --schedule");
  app.option("--schedule", schedule.schedule, "what becomes of --learning_rate to the end of the training")
      .one_of(learning_rate_scheduler::schedule_names())
      .show_default();
  app.number("--warmup_epochs", schedule.warmup_epochs, {0, 1e12},
             "epochs in which the rate rises from 0 to --learning_rate in a line; default 0");
  app.number("--end_learning_rate", schedule.end_learning_rate, {0, 1e30},
             "where cosine, linear and exponential end; default 0, of exponential a hundredth of --learning_rate");
  app.option("--decay_epochs", f->decay_epochs,
             "of the schedule piecewise: EPOCH,…; default: a third, two thirds and eight ninths of the training");
  app.number("--decay_factor", schedule.decay_factor, {1e-30, 1},
             "of the schedule piecewise: the rate's factor at each; default 0.1");
}

void take_optimizer_flags(CommandLine& app, OptimizerFlags* f, float* weight_decay) {
  check_options(app, f->optimizer);  // also the optimizer's name
  check_rate(app);
  f->schedule.decay_epochs = numbers_of("--decay_epochs", f->decay_epochs);
  if (f->schedule.schedule != "piecewise" && (app.get("--decay_epochs").given() || app.get("--decay_factor").given()))
    throw InvalidArgumentError(
        fmt::format("--decay_epochs and --decay_factor are for --schedule=piecewise; it is {}", f->schedule.schedule));
  if (f->optimizer == "momentum" || f->optimizer == "rmsprop" || app.get("--momentum").given())
    f->options.momentum = f->momentum;
  f->options.use_nesterov = f->nesterov;
  f->options.beta1 = f->beta1;
  f->options.beta2 = f->beta2;
  if (app.get("--epsilon").given()) f->options.epsilon = f->epsilon;
  if (!reads(f->optimizer, "weight_decay")) return;
  // Decoupled from the gradient, by the optimizer: the loss has no part of it.
  if (app.get("--weight_decay").given()) f->options.weight_decay = *weight_decay;
  f->options.exclude_from_weight_decay = kNotDecayed;
  *weight_decay = 0;
}

std::string strategy_of(const OptimizerFlags& flags, double num_epochs) {
  if (flags.schedule.learning_rate == 0) return flags.learning_rate_strategy;
  learning_rate_scheduler::ScheduleOptions schedule = flags.schedule;
  schedule.num_epochs = num_epochs;
  if (num_epochs == 0 && schedule.schedule != "constant")
    throw InvalidArgumentError(fmt::format(
        "--schedule={} needs to know where the training ends: give --max_number_of_steps", schedule.schedule));
  return learning_rate_scheduler::schedule_strategy(schedule);
}

OptimizerFn optimizer_of(const OptimizerFlags& flags, const std::string& strategy, int64_t num_samples,
                         int64_t global_batch_size) {
  return get_optimizer_fn(
      flags.optimizer, learning_rate_scheduler::piecewise_lr(strategy, num_samples, global_batch_size), flags.options);
}

nlohmann::ordered_json optimizer_json(const OptimizerFlags& f, const std::string& strategy) {
  nlohmann::ordered_json j = {{"optimizer", f.optimizer}, {"learning_rate_strategy", strategy}};
  if (f.schedule.learning_rate > 0) {
    j["schedule"] = f.schedule.schedule;
    j["learning_rate"] = f.schedule.learning_rate;
    j["warmup_epochs"] = f.schedule.warmup_epochs;
  }
  const auto note = [&](const char* option, const auto& value) {
    if (reads(f.optimizer, option)) j[option] = value;
  };
  if (f.options.momentum) note("momentum", *f.options.momentum);
  note("use_nesterov", f.nesterov);
  note("beta1", f.beta1);
  note("beta2", f.beta2);
  if (f.options.epsilon) note("epsilon", *f.options.epsilon);
  if (f.options.weight_decay) note("weight_decay", *f.options.weight_decay);
  return j;
}

}  // namespace mox::cli
