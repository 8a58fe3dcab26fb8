#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "base/limits.h"
#include "moxing/hooks.h"
#include "moxing/log.h"
#include "run/metric_mode.h"
#include "run/past_end.h"
#include "run/signals.h"
#include "run/tensor_values.h"

namespace mox {
namespace {

EvaluationOptions with_prefix(EvaluationOptions options, const char* prefix) {
  if (options.prefix.empty()) options.prefix = prefix;
  return options;
}

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

void need_positive(int64_t value, const char* name, const std::string& prefix, int64_t high) {
  check_integer(prefix + ": " + name, value, 1, high);
}

// In a hook's state: what is known of the best value. In the hook it is kNone while no value was finite.
constexpr double kNothing = 0, kBestKnown = 1, kEvaluated = 2;
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

std::string text_of(double best) {
  return std::isnan(best) ? "none, as no value was finite" : fmt::format("{:.3f}", best);
}

}  // namespace

LogEvaluationMetricHook::LogEvaluationMetricHook(EvaluationOptions options)
    : options_(with_prefix(std::move(options), "[VALIDATION METRICS]")) {
  if (options_.monitor_info.empty()) throw InvalidArgumentError(options_.prefix + ": monitor_info is empty");
  need_positive(options_.batch_size, "batch_size", options_.prefix, kMaxBatchSize);
  need_positive(options_.samples_in_train, "samples_in_train", options_.prefix, kMaxSamples);
  need_positive(options_.samples_in_eval, "samples_in_eval", options_.prefix, kMaxSamples);
  need_positive(options_.evaluate_every_n_epochs, "evaluate_every_n_epochs", options_.prefix, 1'000'000);
  for (const auto& [name, tensor] : options_.monitor_info) fetches_.push_back(tensor);
}

void LogEvaluationMetricHook::after_create_session(HookSession& session) {
  const int devices = options_.num_gpus > 0 ? options_.num_gpus : session.num_devices();
  every_ = divide_up(options_.samples_in_train, options_.batch_size * devices) * options_.evaluate_every_n_epochs;
}

void LogEvaluationMetricHook::after_run(SessionRunContext& context, const SessionRunValues&) {
  if ((context.local_step() + 1) % every_ != 0) return;
  const std::vector<double> means = evaluate(context.session());
  if (means.empty()) return;
  std::string line = fmt::format("{} step: {}", options_.prefix, context.local_step());
  for (size_t i = 0; i < means.size(); ++i)
    line += fmt::format(" {}: {:.3f}", options_.monitor_info[i].first, means[i]);
  log_info(line);
  evaluated(context, means);
}

// Empty when a signal asked the run to stop meanwhile.
std::vector<double> LogEvaluationMetricHook::evaluate(HookSession& session) {
  const int64_t steps = divide_up(options_.samples_in_eval, options_.batch_size);
  std::vector<double> sums(fetches_.size());
  for (int64_t step = 0; step < steps; ++step) {
    if (SignalGuard::received()) return {};
    std::vector<tensorflow::Tensor> values;
    try {
      values = session.run(fetches_);
    } catch (const InputEndedInHook&) {
      // The end of an evaluation set that is read once: this is where the evaluation before it stopped, or the next
      // round of one that has fewer samples than samples_in_eval says.
      session.restart_input();
      values = session.run(fetches_);
    }
    for (size_t i = 0; i < sums.size(); ++i) sums[i] += scalar_value(values[i], options_.monitor_info[i].first);
  }
  for (double& sum : sums) sum /= steps;
  return sums;
}

EarlyStoppingHook::EarlyStoppingHook(EvaluationOptions evaluation, EarlyStoppingOptions stopping)
    : LogEvaluationMetricHook(with_prefix(std::move(evaluation), "[EarlyStopping]")), stopping_(std::move(stopping)) {
  const std::string& prefix = options().prefix;
  const auto& info = options().monitor_info;
  std::string known;
  monitored_ = info.size();
  for (size_t i = 0; i < info.size(); ++i) {
    if (i > 0) known += ", ";
    known += info[i].first;
    if (info[i].first == stopping_.monitor || (stopping_.monitor.empty() && info.size() == 1)) monitored_ = i;
  }
  if (monitored_ == info.size())
    throw InvalidArgumentError(prefix + ": monitor '" + stopping_.monitor + "' is not in monitor_info; there is " +
                               known);
  check_integer(prefix + ": patience", stopping_.patience, 0, 1'000'000);
  check_number(prefix + ": min_delta", stopping_.min_delta, 0, 1e30);
  check_metric_mode(prefix + ": mode", stopping_.mode);
  sign_ = metric_sign(info[monitored_].first, stopping_.mode);
}

// Tells what was monitored, and in which direction.
double EarlyStoppingHook::metric_id() const {
  uint32_t id = sign_ < 0 ? 1 : 0;
  for (const unsigned char c : monitor()) id = id * 31 + c;
  return id;
}

std::vector<double> EarlyStoppingHook::state() const {
  const bool known = std::isfinite(best_);
  return {metric_id(), seen_ ? known ? kBestKnown : kEvaluated : kNothing, known ? best_ : 0,
          static_cast<double>(without_gain_)};
}

void EarlyStoppingHook::restore_state(const std::vector<double>& state) {
  if (state.size() < 4 || state[0] != metric_id()) return;
  seen_ = state[1] != kNothing;
  best_ = state[1] == kBestKnown && std::isfinite(state[2]) ? state[2] : kNone;  // an earlier version took a NaN
  without_gain_ = static_cast<int>(state[3]);
  if (seen_)
    log_info(fmt::format("{} the best {} so far: {}, evaluations without gain: {}", options().prefix, monitor(),
                         text_of(sign_ * best_), without_gain_));
}

void EarlyStoppingHook::evaluated(SessionRunContext& context, const std::vector<double>& means) {
  const double value = sign_ * means[monitored_];
  const bool first = !seen_;
  if (first) best_ = kNone;
  seen_ = true;
  if (std::isfinite(value) && (std::isnan(best_) || value > best_ + stopping_.min_delta)) {
    best_ = value;
    without_gain_ = 0;
    return;
  }
  if (first) return;  // there was nothing to gain on
  if (++without_gain_ < stopping_.patience) return;
  without_gain_ = 0;
  plateau(context);
}

void EarlyStoppingHook::plateau(SessionRunContext& context) {
  log_info(fmt::format("{} {} did not gain in {} evaluations (best: {}): training stops after step {}",
                       options().prefix, monitor(), std::max(1, stopping_.patience), text_of(sign_ * best_),
                       context.local_step()));
  context.request_stop();
}

PlateauLREarlyStoppingHook::PlateauLREarlyStoppingHook(EvaluationOptions evaluation, EarlyStoppingOptions stopping,
                                                       PlateauOptions plateau)
    : EarlyStoppingHook(with_prefix(std::move(evaluation), "[PlateauLREarlyStopping]"), std::move(stopping)),
      plateau_(plateau) {
  need_positive(plateau_.max_plateaus, "max_plateaus", options().prefix, 1'000'000);
  check_number(options().prefix + ": lr_multiplier", plateau_.lr_multiplier, 1e-30, 1e30);
}

std::vector<double> PlateauLREarlyStoppingHook::state() const {
  std::vector<double> state = EarlyStoppingHook::state();
  state.push_back(plateaus_);
  return state;
}

void PlateauLREarlyStoppingHook::restore_state(const std::vector<double>& state) {
  EarlyStoppingHook::restore_state(state);
  if (state.size() == this->state().size() && state[0] == this->state()[0]) plateaus_ = static_cast<int>(state.back());
}

void PlateauLREarlyStoppingHook::plateau(SessionRunContext& context) {
  if (++plateaus_ >= plateau_.max_plateaus) {
    EarlyStoppingHook::plateau(context);
    return;
  }
  context.session().multiply_learning_rate(plateau_.lr_multiplier);
  log_info(fmt::format("{} {} did not gain in {} evaluations: the learning rate is multiplied by {} (plateau {} of {})",
                       options().prefix, monitor(), std::max(1, stopping().patience), plateau_.lr_multiplier, plateaus_,
                       plateau_.max_plateaus));
}

}  // namespace mox
