#include "run/epoch_clock.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "moxing/error.h"
#include "moxing/log.h"

namespace mox {
namespace {

int64_t workers_of(const RunConfig& config) {
  return static_cast<int64_t>(std::max<size_t>(1, config.cluster.worker_hosts.size()));
}

int64_t samples_of_global_step(const RunConfig& config, const BuiltGraph& graph) {
  const bool each_counts = config.cluster.has_servers() && !config.cluster.sync_replicas;
  return graph.samples_per_step * (each_counts ? 1 : workers_of(config));
}

// Steps that take at least so many samples.
int64_t steps_for(double samples, int64_t samples_per_step) {
  return std::max<int64_t>(1, static_cast<int64_t>(std::ceil(samples / static_cast<double>(samples_per_step) - 1e-9)));
}

}  // namespace

EpochClock::EpochClock(const RunConfig& config, const BuiltGraph& graph)
    : EpochClock(config.samples_per_epoch, samples_of_global_step(config, graph)) {}

double EpochClock::epochs(int64_t global_step) const {
  return static_cast<double>(global_step) * static_cast<double>(samples_per_step_) /
         static_cast<double>(samples_per_epoch_);
}

int64_t EpochClock::whole_epochs(int64_t global_step) const {
  // Both are below 2^40 and 2^63: in whole numbers without a product that does not fit.
  const int64_t each = samples_per_step_ / samples_per_epoch_, rest = samples_per_step_ % samples_per_epoch_;
  const auto more = static_cast<__int128>(global_step) * rest / samples_per_epoch_;
  return global_step * each + static_cast<int64_t>(more);
}

int64_t EpochClock::steps(double epochs) const {
  return steps_for(epochs * static_cast<double>(samples_per_epoch_), samples_per_step_);
}

TrainLength train_length(const RunConfig& config, const BuiltGraph& graph) {
  const int64_t most = config.max_number_of_steps;
  if (config.num_epochs <= 0) return {most, most > 0 ? "max_number_of_steps" : ""};
  if (graph.samples_per_step <= 0)
    throw InvalidArgumentError(
        "num_epochs needs batches of one size: give batch_size, or max_number_of_steps in place of num_epochs");
  const int64_t samples = graph.samples_per_step * workers_of(config);
  const int64_t steps = steps_for(config.num_epochs * static_cast<double>(config.samples_per_epoch), samples);
  const std::string meaning = fmt::format("num_epochs {} is {} steps of {} samples{}", epochs_text(config.num_epochs),
                                          steps, samples, workers_of(config) > 1 ? ", all workers together" : "");
  if (most == 0 || steps <= most) {
    log_info(meaning + (most > 0 ? fmt::format(", which comes before max_number_of_steps {}", most) : ""));
    return {steps, "num_epochs"};
  }
  log_info(fmt::format("{}, but max_number_of_steps {} comes first: {} epochs", meaning, most,
                       epochs_text(static_cast<double>(most) * static_cast<double>(samples) /
                                   static_cast<double>(config.samples_per_epoch))));
  return {most, "max_number_of_steps"};
}

std::string TrainLength::text(const RunConfig& config) const {
  return std::string(by) == "num_epochs" ? fmt::format("{} ({} steps)", epochs_text(config.num_epochs), steps)
                                         : std::to_string(steps);
}

std::string epochs_text(double epochs) {
  if (std::abs(epochs - std::round(epochs)) < 0.005) return fmt::format("{:.0f}", epochs);
  return fmt::format("{:.2f}", epochs);
}

}  // namespace mox
